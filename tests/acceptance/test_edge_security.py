"""What somebody without rights may try at the edge: tokens, headers, and bodies that are traps.

Paths are in `test_edge_paths.py`, other workspaces in `test_edge_cross_workspace.py`, silent and
slow callers in `test_edge_protocols.py` and `test_edge_slow_readers.py`.
"""

import gzip
import json
import re
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest
from kintsugi.v1 import exception_service_pb2 as service
from kintsugi.v1.exception_service_pb2_grpc import ExceptionServiceStub

PATH = "/kintsugi.v1.ExceptionService/ListExceptions"
MIB = 2**20


@pytest.fixture(scope="module")
def http(stack: Any) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=stack.rest, timeout=30) as client:
        yield client


def make_token(stack: Any, **fields: Any) -> dict[str, Any]:
    body = {"title": "tests", "role": "ROLE_VIEWER"} | fields
    url = f"{stack.rest}/api/v1/{stack.workspace}/accessTokens"
    answer = stack.http.post(url, json=body)
    assert answer.status_code == 200, answer.text
    made: dict[str, Any] = answer.json()
    return made


def bad_tokens(stack: Any) -> dict[str, str]:
    soon = datetime.now(UTC) + timedelta(seconds=1)
    expired = make_token(stack, expire_time=soon.isoformat())["token"]
    time.sleep(1.1)
    revoked = make_token(stack)
    stack.http.post(f"{stack.rest}/api/v1/{revoked['access_token']['name']}:revoke", json={})
    good = stack.token
    return {
        "expired": expired,
        "revoked": revoked["token"],
        "truncated": good[:-1],
        "mistyped": good[:-1] + ("A" if good[-1] != "A" else "B"),
        "swapped": good[:4] + good[5] + good[4] + good[6:] if good[4] != good[5] else good[4:],
        "doubled": good + good,
        "in two": f"{good[:20]} {good[20:]}",
        "without its prefix": good[4:],
        "another": "kin_" + "A" * 49,
        "the id": make_token(stack)["access_token"]["name"].rpartition("/")[2],
        "nothing": "",
        "long": "kin_" + "a" * 10_000,
        "SQL": "' OR '1'='1",
    }


def rest_code(stack: Any, headers: dict[str, str]) -> int:
    answer = httpx.get(f"{stack.exceptions}?page_size=1", headers=headers, timeout=30)
    if answer.status_code == 401:
        assert answer.json()["code"] == 16
        assert answer.json()["details"][0]["reason"].startswith("CREDENTIALS_")
    return answer.status_code


def web_code(stack: Any, headers: dict[str, str]) -> int:
    return {"0": 200, "16": 401}[web_status(stack, headers)]


def web_status(stack: Any, headers: dict[str, str]) -> str:
    """The gRPC status, as gRPC-Web has it in the headers or at the end of the body."""
    request = service.ListExceptionsRequest(parent=stack.workspace, page_size=1)
    message = request.SerializeToString()
    body = b"\0" + len(message).to_bytes(4, "big") + message
    kind = {"content-type": "application/grpc-web+proto"}
    answer = httpx.post(f"{stack.rest}{PATH}", content=body, headers=headers | kind, timeout=30)
    found = re.search(r"grpc-status: ?(\d+)", answer.text)
    return answer.headers.get("grpc-status") or (found[1] if found else "")


def grpc_code(stack: Any, headers: dict[str, str]) -> int:
    request = service.ListExceptionsRequest(parent=stack.workspace, page_size=1)
    with grpc.insecure_channel(stack.edge) as channel:
        method = ExceptionServiceStub(channel).ListExceptions
        code = method.future(request, metadata=list(headers.items()), timeout=30).code()
    return {grpc.StatusCode.OK: 200, grpc.StatusCode.UNAUTHENTICATED: 401}[code]


WAYS: list[Callable[[Any, dict[str, str]], int]] = [rest_code, web_code, grpc_code]


@pytest.mark.parametrize("code", WAYS)
def test_only_a_good_token_opens(stack: Any, code: Callable[[Any, dict[str, str]], int]) -> None:
    for what, token in bad_tokens(stack).items():
        assert code(stack, {"authorization": f"Bearer {token}".strip()}) == 401, what
    assert code(stack, {"authorization": f"Bearer {make_token(stack)['token']}"}) == 200
    assert code(stack, {"authorization": f"Basic {stack.token}"}) == 401
    assert code(stack, {"authorization": stack.token}) == 401


@pytest.mark.parametrize("code", WAYS)
def test_no_other_header_says_who_calls(
    stack: Any, code: Callable[[Any, dict[str, str]], int]
) -> None:
    names = ("x-auth-subject", "x-auth-address", "x-auth-principal", "x-forwarded-user", "cookie")
    for name in (*names, "proxy-authorization", "x-authorization", "x-envoy-authorization"):
        for value in ("users/local", f"Bearer {stack.token}", "127.0.0.1"):
            assert code(stack, {name: value}) == 401


def test_a_token_in_the_path_or_the_body_is_none(stack: Any) -> None:
    for name in ("access_token", "authorization", "token"):
        answer = httpx.get(f"{stack.exceptions}?{name}={stack.token}", timeout=30)
        assert answer.status_code in (400, 401)


@pytest.mark.parametrize("good_first", [True, False])
def test_of_two_tokens_none_counts(stack: Any, good_first: bool) -> None:
    pair = [stack.token, make_token(stack)["token"]]
    for second in pair:
        tokens = [stack.token, second] if good_first else [second, stack.token]
        connection = HTTPConnection(stack.edge, timeout=30)
        connection.putrequest("GET", f"/api/v1/{stack.workspace}/exceptions")
        for token in tokens:
            connection.putheader("authorization", f"Bearer {token}")
        connection.endheaders()
        assert connection.getresponse().status == 401
        connection.close()
        request = service.ListExceptionsRequest(parent=stack.workspace)
        with grpc.insecure_channel(stack.edge) as channel, pytest.raises(grpc.RpcError) as error:
            ExceptionServiceStub(channel).ListExceptions(
                request, metadata=[("authorization", f"Bearer {each}") for each in tokens]
            )
        assert error.value.code() is grpc.StatusCode.UNAUTHENTICATED


@pytest.mark.parametrize("value", ["1n", "0S", "99999999H", "x", "-1S", "1", "123456789S", ""])
def test_a_timeout_is_none_of_json_callers(stack: Any, value: str) -> None:
    assert rest_code(stack, stack.headers | {"grpc-timeout": value}) == 200


@pytest.mark.parametrize(
    ("name", "unreadable", "good"),
    [
        ("grpc-timeout", "x", "{}S"),
        ("x-trace-bin", "!", "AAA{}"),
        ("grpc-previous-rpc-attempts", "x", "{}"),
    ],
)
def test_what_one_caller_says_that_cannot_be_read_fails_no_other(
    stack: Any, name: str, unreadable: str, good: str
) -> None:
    for number in range(2, 10):
        web_status(stack, {name: unreadable})
        assert web_status(stack, stack.headers | {name: good.format(number)}) == "0"


@pytest.mark.parametrize(
    "headers",
    [
        {"grpc-encoding": "gzip"},
        {"grpc-encoding": "nope"},
        {"grpc-accept-encoding": "gzip"},
        {"te": "trailers"},
        {"x-http-method-override": "DELETE"},
        {"x-original-url": "/kintsugi.v1.WorkspaceService/ListWorkspaces"},
        {"x-rewrite-url": "/"},
        {"grpc-message": "x", "grpc-status": "0"},
    ],
)
def test_no_header_changes_what_is_called(stack: Any, headers: dict[str, str]) -> None:
    answer = httpx.get(f"{stack.exceptions}?page_size=1", headers=stack.headers | headers)
    assert answer.status_code == 200
    assert "exceptions" in answer.json()


NESTED = {
    "lists": '{"extra": ' + "[" * 2 * MIB,
    "objects": '{"a":' * (3 * MIB // 5),
    "closed objects": '{"location":' * 50_000 + "{}" + "}" * 50_000,
    "lists in a value": json.dumps({"message": "x"})[:-1]
    + ',"extra":'
    + "[" * 100_000
    + "]" * 100_000
    + "}",
    "quotes": '{"' + '\\\\"' * MIB,
}


@pytest.mark.parametrize("what", NESTED)
def test_a_body_nested_deeply_is_refused(stack: Any, what: str) -> None:
    headers = stack.headers | {"content-type": "application/json"}
    answer = httpx.post(stack.exceptions, content=NESTED[what], headers=headers, timeout=60)
    assert answer.status_code == 400, answer.text
    assert answer.json()["code"] == 3
    assert rest_code(stack, stack.headers) == 200


def test_a_message_nested_deeply_is_refused(stack: Any) -> None:
    nested = b""
    for _ in range(20_000):
        nested = b"\x0a" + varint(len(nested)) + nested
    with stack.channel() as channel, pytest.raises(grpc.RpcError) as error:
        channel.unary_unary("/kintsugi.v1.ExceptionService/CreateException")(nested, timeout=30)
    assert error.value.code() is grpc.StatusCode.INVALID_ARGUMENT


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br"])
def test_a_compressed_body_is_not_unpacked(stack: Any, encoding: str) -> None:
    before = most_memory(stack)
    kind = {"content-type": "application/json", "content-encoding": encoding}
    bomb = gzip.compress(b'{"message":"' + b"a" * 512 * MIB)
    answer = httpx.post(stack.exceptions, content=bomb, headers=stack.headers | kind, timeout=60)
    assert answer.status_code == 400
    assert most_memory(stack) < before + 100 * MIB


def test_a_compressed_message_is_not_unpacked_beyond_the_limit(stack: Any) -> None:
    before = most_memory(stack)
    bomb = gzip.compress(b"\xa2\x06" + varint(512 * MIB) + bytes(512 * MIB))
    body = b"\x01" + len(bomb).to_bytes(4, "big") + bomb
    for kind in ("application/grpc", "application/grpc-web"):
        headers = stack.headers | {"content-type": kind, "te": "trailers", "grpc-encoding": "gzip"}
        with httpx.Client(http1=False, http2=True, timeout=60) as http2:
            answer = http2.post(f"{stack.rest}{PATH}", content=body, headers=headers)
        status = answer.headers.get("grpc-status") or answer.text.partition("grpc-status:")[2][:2]
        assert status.strip() in ("8", "12")
    assert most_memory(stack) < before + 100 * MIB
    assert rest_code(stack, stack.headers) == 200


def varint(number: int) -> bytes:
    low, high = number & 127, number >> 7
    return bytes([low | 128]) + varint(high) if high else bytes([low])


def most_memory(stack: Any) -> int:
    """The most bytes that Envoy or a server ever had."""
    peaks = []
    for pid in stack.children():
        said = Path(f"/proc/{pid}/status").read_text()
        peaks += [int(found[1]) * 1024 for found in [re.search(r"VmHWM:\s+(\d+)", said)] if found]
    return max(peaks)
