"""Headers that only Envoy, the server or gRPC itself may say, said by a caller."""

import uuid
from collections.abc import Callable, Iterator
from typing import Any

import grpc
import httpx
import pytest
from google.rpc import error_details_pb2
from grpc_status import rpc_status
from kintsugi.v1 import exception_service_pb2 as service
from kintsugi.v1.exception_service_pb2_grpc import ExceptionServiceStub

both = pytest.mark.parametrize("http2", [False, True])
OTHER = "Bearer kin_nope"


@pytest.fixture
def open_http(stack: Any) -> Iterator[Callable[[bool], httpx.Client]]:
    """A client over either version, without a token."""
    opened: list[httpx.Client] = []

    def start(http2: bool) -> httpx.Client:
        opened.append(httpx.Client(http1=not http2, http2=http2, timeout=30))
        return opened[-1]

    yield start
    for http in opened:
        http.close()


OpenHttp = Callable[[bool], httpx.Client]


def reason(answer: httpx.Response) -> str:
    return str(answer.json()["details"][0]["reason"])


@both
@pytest.mark.parametrize("good_first", [True, False])
@pytest.mark.parametrize("second", ["Authorization", "authorization"])
def test_of_two_tokens_none_counts(
    stack: Any, open_http: OpenHttp, http2: bool, good_first: bool, second: str
) -> None:
    good = stack.headers["authorization"]
    values = (good, OTHER) if good_first else (OTHER, good)
    headers = list(zip(("authorization", second), values, strict=True))
    answer = open_http(http2).get(stack.exceptions, headers=headers)
    assert (answer.status_code, reason(answer)) == (401, "CREDENTIALS_INVALID")


@both
def test_nor_does_the_same_one_twice(stack: Any, open_http: OpenHttp, http2: bool) -> None:
    headers = [*stack.headers.items()] * 2
    answer = open_http(http2).get(stack.exceptions, headers=headers)
    assert (answer.status_code, reason(answer)) == (401, "CREDENTIALS_INVALID")


@pytest.mark.parametrize("through_envoy", [True, False])
def test_of_two_tokens_none_counts_over_grpc(stack: Any, through_envoy: bool) -> None:
    address = stack.edge if through_envoy else stack.grpc[0]
    metadata = [*stack.headers.items(), ("authorization", OTHER)]
    request = service.ListExceptionsRequest(parent=stack.workspace)
    for order in (metadata, metadata[::-1], [metadata[0]] * 2):
        with grpc.insecure_channel(address) as channel, pytest.raises(grpc.RpcError) as error:
            ExceptionServiceStub(channel).ListExceptions(request, metadata=order, timeout=30)
        assert error.value.code() is grpc.StatusCode.UNAUTHENTICATED
        call: Any = error.value
        info = error_details_pb2.ErrorInfo()
        assert rpc_status.from_call(call).details[0].Unpack(info)
        assert info.reason == "CREDENTIALS_INVALID"


def test_of_two_tokens_none_counts_over_grpc_web(stack: Any) -> None:
    kind = ("content-type", "application/grpc-web")
    headers = [*stack.headers.items(), ("authorization", OTHER), kind]
    url = f"{stack.rest}/kintsugi.v1.ExceptionService/ListExceptions"
    answer = httpx.post(url, content=b"\0\0\0\0\0", headers=headers, timeout=30)
    assert answer.headers["grpc-status"] == str(grpc.StatusCode.UNAUTHENTICATED.value[0])


@both
@pytest.mark.parametrize(
    "name", ["x-auth-principal", "X-Auth-Subject", "x-auth-token", "x-forwarded-user"]
)
def test_nobody_is_somebody_by_saying_so(
    stack: Any, open_http: OpenHttp, http2: bool, name: str
) -> None:
    name = name.lower() if http2 else name
    answer = open_http(http2).get(stack.exceptions, headers={name: "users/local"})
    assert (answer.status_code, reason(answer)) == (401, "CREDENTIALS_MISSING")


@both
@pytest.mark.parametrize("code", ["204", "201", "500", "x"])
def test_a_caller_does_not_choose_the_code_of_the_answer(
    stack: Any, open_http: OpenHttp, http2: bool, code: str
) -> None:
    answer = open_http(http2).get(stack.exceptions, headers=stack.headers | {"x-http-code": code})
    assert answer.status_code == 200
    assert "exceptions" in answer.json()


@both
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("grpc-timeout", "1n"),
        ("grpc-timeout", "nope"),
        ("grpc-timeout", "99999999H"),
        ("grpc-encoding", "gzip"),
        ("grpc-encoding", "nope"),
        ("grpc-accept-encoding", "gzip"),
        ("grpc-internal-encoding-request", "gzip"),
        ("grpc-status", "7"),
        ("grpc-trace-bin", "***"),
        ("x-anything-bin", "***"),
    ],
)
def test_what_a_json_caller_says_to_grpc_is_not_heard(
    stack: Any, open_http: OpenHttp, http2: bool, name: str, value: str
) -> None:
    http, headers = open_http(http2), stack.headers | {name: value}
    assert http.get(stack.exceptions, headers=headers).status_code == 200
    made = http.post(stack.exceptions, headers=headers, json=stack.new_exception("headers"))
    assert made.status_code == 200, made.text
    assert made.json()["run"].startswith(f"{stack.workspace}/automations/headers/runs/")


def test_nor_is_it_in_a_stream(stack: Any) -> None:
    headers = stack.headers | {"grpc-timeout": "1n"}
    url = f"{stack.exceptions}:watch"
    with httpx.stream("GET", url, headers=headers, timeout=30) as answer:
        assert answer.status_code == 200
        assert next(answer.iter_lines())


def test_a_grpc_callers_own_deadline_is_kept(stack: Any) -> None:
    request = service.GetExceptionRequest(name=f"{stack.workspace}/exceptions/{uuid.uuid4().hex}")
    with stack.channel() as channel:
        stub = ExceptionServiceStub(channel)
        with pytest.raises(grpc.RpcError) as error:
            stub.GetException(request, timeout=0.000_001)
        assert error.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        with pytest.raises(grpc.RpcError) as error:
            stub.GetException(request, timeout=100_000_000)
        assert error.value.code() is grpc.StatusCode.NOT_FOUND
