"""What is too much is refused in every protocol with what was exceeded and when to come back."""

import base64
import json
import os
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from types import MappingProxyType
from typing import Any

import grpc
import httpx
import pytest
from google.protobuf.json_format import ParseDict
from google.rpc import error_details_pb2
from google.rpc.status_pb2 import Status
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_status import rpc_status
from kintsugi.v1 import exception_pb2 as pb
from kintsugi.v1 import exception_service_pb2 as service
from kintsugi.v1.exception_service_pb2_grpc import ExceptionServiceStub

from tests.acceptance.edges import HEALTH_CHECK, Edges, healthy, serve

EXCEPTIONS = "/api/v1/organizations/local/workspaces/default/exceptions"
BURST = 30
MOST = 4_194_304


@pytest.fixture(scope="module")
def drained(start_for_session: Callable[..., Any]) -> Any:
    """Two server processes whose only caller has made all the calls that it may."""
    limits = {"KINTSUGI_CALLS_PER_SECOND": "0.001", "KINTSUGI_CALL_BURST": str(BURST)}
    stack = start_for_session("--port", "0", "--workers", "2", env=os.environ | limits)
    codes = [stack.http.get(stack.exceptions).status_code for _ in range(BURST + 10)]
    assert codes == [200] * BURST + [429] * 10
    return stack


def assert_rate_limited(status: Status, retry_after: str) -> None:
    assert (status.code, len(status.details)) == (8, 3)
    info, quota, retry = status.details
    assert unpacked(info, error_details_pb2.ErrorInfo).reason == "RATE_LIMITED"
    [violation] = unpacked(quota, error_details_pb2.QuotaFailure).violations
    assert violation.subject == "users/local"
    assert violation.description == status.message
    delay = unpacked(retry, error_details_pb2.RetryInfo).retry_delay
    assert 900 < delay.seconds < 1000
    assert 0 <= int(retry_after) - delay.seconds <= 1


def unpacked(detail: Any, kind: Any) -> Any:
    message = kind()
    assert detail.Unpack(message)
    return message


def from_json(body: str) -> Status:
    return ParseDict(json.loads(body), Status())


@pytest.mark.parametrize(
    ("path", "accept"),
    [("", "*/*"), (":watch", "application/x-ndjson"), (":watch", "text/event-stream")],
)
def test_over_rest_it_is_429_with_retry_after(drained: Any, path: str, accept: str) -> None:
    answer = drained.http.get(f"{drained.exceptions}{path}", headers={"accept": accept}, timeout=30)
    assert answer.status_code == 429
    assert_rate_limited(
        from_json(answer.text.removeprefix("data: ")), answer.headers["retry-after"]
    )


def test_over_grpc_it_has_its_details(drained: Any) -> None:
    request = service.ListExceptionsRequest(parent=drained.workspace)
    with drained.channel() as channel:
        stub = ExceptionServiceStub(channel)
        with pytest.raises(grpc.RpcError) as error:
            stub.ListExceptions(request, timeout=30)
    assert_rate_limited(*sent(error.value))


def sent(error: Any) -> tuple[Status, str]:
    """The status, and what the metadata says of when to come back."""
    assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    status = rpc_status.from_call(error)
    assert status is not None
    return status, dict(error.trailing_metadata()).get("retry-after", "")


def test_over_grpc_web_it_has_its_details(drained: Any) -> None:
    message = service.ListExceptionsRequest(parent=drained.workspace).SerializeToString()
    assert_rate_limited(*called_by_web(drained.rest, message, drained.headers))


def called_by_web(
    rest: str, message: bytes, headers: Mapping[str, str] = MappingProxyType({})
) -> tuple[Status, str]:
    answer = httpx.post(
        f"{rest}/kintsugi.v1.ExceptionService/ListExceptions",
        content=b"\0" + len(message).to_bytes(4, "big") + message,
        headers={"content-type": "application/grpc-web+proto", **headers},
        timeout=30,
    )
    trailers = dict(answer.headers) | dict(
        line.split(":", 1) for line in answer.content[5:].decode().splitlines()
    )
    assert trailers["grpc-status"].strip() == "8"
    packed = trailers["grpc-status-details-bin"].strip()
    status = Status.FromString(base64.b64decode(packed + "=" * (-len(packed) % 4)))
    return status, trailers.get("retry-after", "").strip()


def test_who_is_limited_is_still_told_that_all_is_well(drained: Any) -> None:
    assert httpx.get(f"{drained.health}/readyz", timeout=30).status_code == 200
    with grpc.insecure_channel(drained.edge) as channel:
        assert is_healthy(channel)


def is_healthy(channel: grpc.Channel) -> bool:
    answer = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=30)
    return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)


class Busy(grpc.GenericRpcHandler):
    """Answers nothing until it is let go on."""

    def __init__(self) -> None:
        self.reached = threading.Event()
        self.going_on = threading.Event()

    def service(self, details: grpc.HandlerCallDetails) -> Any:
        if details.method == HEALTH_CHECK:
            return healthy()
        return grpc.unary_unary_rpc_method_handler(self._wait)

    def _wait(self, _request: bytes, _context: grpc.ServicerContext) -> bytes:
        self.reached.set()
        self.going_on.wait(30)
        return b""


@pytest.fixture
def busy(edges: Edges) -> Iterator[str]:
    """The address of an Envoy whose server has all the calls that it is to have: one."""
    handler = Busy()
    server, address = serve(handler)
    edge = edges.start([address], ('"max_requests": 256', '"max_requests": 1'))
    with ThreadPoolExecutor(1) as caller:
        held = caller.submit(httpx.get, f"http://{edge}{EXCEPTIONS}", timeout=30)
        assert handler.reached.wait(30)
        yield edge
        handler.going_on.set()
        assert held.result().status_code == 200
    server.stop(None).wait()


def test_a_call_for_which_there_is_no_room_is_refused_before_it_costs_anything(busy: str) -> None:
    answer = httpx.get(f"http://{busy}{EXCEPTIONS}", timeout=30)
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "1")
    status = from_json(answer.text)
    info, retry = status.details
    assert unpacked(info, error_details_pb2.ErrorInfo).reason == "OVERLOADED"
    assert unpacked(retry, error_details_pb2.RetryInfo).retry_delay.seconds == 1
    with grpc.insecure_channel(busy) as channel:
        with pytest.raises(grpc.RpcError) as error:
            ExceptionServiceStub(channel).GetException(service.GetExceptionRequest(), timeout=30)
        assert sent(error.value) == (status, "1")
        assert is_healthy(channel)
    assert called_by_web(f"http://{busy}", b"") == (status, "1")


def test_room_grows_with_the_servers(edges: Edges) -> None:
    servers = [serve(Busy()) for _ in range(3)]
    edges.start([address for _, address in servers])
    breakers = httpx.get(f"http://{edges.admin()}/clusters?format=json", timeout=30).json()
    [app] = [one for one in breakers["cluster_statuses"] if one["name"] == "app"]
    assert app["circuit_breakers"]["thresholds"][0]["max_requests"] == 3 * 256
    for server, _ in servers:
        server.stop(None).wait()


def test_a_request_that_is_too_large_is_told_how_large_it_may_be(stack: Any) -> None:
    large = "a" * (MOST + 1)
    answer = stack.http.post(stack.exceptions, json={"message": large}, timeout=30)
    assert answer.status_code == 413
    status = from_json(answer.text)
    info, bad = status.details
    assert unpacked(info, error_details_pb2.ErrorInfo).reason == "REQUEST_TOO_LARGE"
    [violation] = unpacked(bad, error_details_pb2.BadRequest).field_violations
    assert (violation.field, str(MOST) in violation.description) == ("request", True)
    options = [("grpc.max_send_message_length", -1)]
    with grpc.insecure_channel(stack.edge, options=options) as channel:
        request = service.CreateExceptionRequest(exception=pb.Exception(message=large))
        with pytest.raises(grpc.RpcError) as error:
            ExceptionServiceStub(channel).CreateException(request, timeout=30)
    assert sent(error.value)[0] == status
    assert called_by_web(stack.rest, b"a" * MOST)[0] == status


@pytest.mark.parametrize(
    ("fields", "violations"),
    [
        (
            {"message": "x" * 65_537},
            {"exception.message": "has 65537 bytes; at most 65536 are allowed"},
        ),
        (
            {"extra": {str(number): "x" for number in range(65)}},
            {"exception.extra": "has 65 entries; at most 64 are allowed"},
        ),
        (
            {"extra": {"key": "x" * 65_537}},
            {"exception.extra['key']": "has 65537 bytes; at most 65536 are allowed"},
        ),
        (
            {"execution_id": "x" * 257},
            {"exception.execution_id": "has 257 bytes; at most 256 are allowed"},
        ),
    ],
)
def test_a_field_that_is_too_large_is_named_with_its_limit(
    stack: Any, fields: dict[str, Any], violations: dict[str, str]
) -> None:
    body = stack.new_exception("sizes") | fields
    answer = stack.http.post(stack.exceptions, json=body, timeout=30)
    assert answer.status_code == 400
    assert violations_in(answer) == violations


@pytest.mark.parametrize(
    ("item", "field", "what"),
    [
        ({"text": "x" * 65_537}, "text", "has 65537 bytes; at most 65536 are allowed"),
        ({"file": {"remote": "x" * 2049}}, "file.remote", "has 2049 bytes; at most 2048"),
    ],
)
def test_what_is_too_long_in_an_event_is_named_with_its_limit(
    stack: Any, item: dict[str, Any], field: str, what: str
) -> None:
    thread = f"{stack.new_exception('sizes')['run']}/agents/kai"
    event = {"user_message": {"content_list": {"items": [item]}}}
    answer = stack.http.post(f"{stack.rest}/api/v1/{thread}/events", json=event, timeout=30)
    [(path, description)] = violations_in(answer).items()
    assert path == f"event.user_message.content_list.items[0].{field}"
    assert what in description


def test_a_filter_of_too_many_terms_says_how_many_it_may_have(stack: Any) -> None:
    terms = " ".join(["a"] * 501)
    answer = stack.http.get(stack.exceptions, params={"filter": terms}, timeout=30)
    assert answer.status_code == 400
    assert "more than 500 terms" in violations_in(answer)["filter"]


def violations_in(answer: httpx.Response) -> dict[str, str]:
    [bad] = [
        detail for detail in answer.json()["details"] if detail["@type"].endswith("BadRequest")
    ]
    return {each["field"]: each["description"] for each in bad["field_violations"]}
