"""What Envoy hands to a server, makes of its answers, and does when it is gone.

The server here does what a test tells it and remembers what it was asked; Envoy and envoy.yaml
are the real ones.
"""

import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import grpc
import httpx
import pytest
from google.protobuf.message import Message
from grpc_health.v1.health_pb2 import HealthCheckResponse
from kintsugi.v1 import exception_pb2 as pb

from tests.acceptance.edges import HEALTH_CHECK, Edges, healthy, reason, serve

EXCEPTIONS = "/api/v1/organizations/local/workspaces/default/exceptions"
Answer = Callable[[grpc.ServicerContext], Message]


@dataclass
class Upstream(grpc.GenericRpcHandler):
    """Answers every call by `answer`, which tests set; `asked` has the metadata of each."""

    answer: Answer = lambda context: pb.Exception()
    asked: list[dict[str, str]] = field(default_factory=list)

    def service(self, details: grpc.HandlerCallDetails) -> Any:
        if details.method == HEALTH_CHECK:
            return healthy()
        if details.method == "/grpc.health.v1.Health/Watch":
            return grpc.unary_stream_rpc_method_handler(stay_open)
        return grpc.unary_unary_rpc_method_handler(self._call)

    def _call(self, request: bytes, context: grpc.ServicerContext) -> bytes:
        self.asked.append({key: str(value) for key, value in context.invocation_metadata()})
        return bytes_of(self.answer(context))

    @property
    def keys(self) -> str | None:
        """What the last call said about the fields of its JSON body."""
        return self.asked[-1].get("x-json-keys")


def stay_open(request: bytes, context: grpc.ServicerContext) -> Iterator[bytes]:
    yield bytes_of(HealthCheckResponse(status=HealthCheckResponse.SERVING))
    ended = threading.Event()
    if context.add_callback(ended.set):
        ended.wait(30)


def bytes_of(message: Message) -> bytes:
    return message.SerializeToString()


@dataclass
class Edge:
    """An Envoy for one test module or test, and what it stands before."""

    upstream: Upstream
    http: httpx.Client
    address: str


@pytest.fixture(scope="module")
def shared(edges: Edges) -> Iterator[Edge]:
    upstream = Upstream()
    server, address = serve(upstream)
    edge = edges.start([address])
    with httpx.Client(base_url=f"http://{edge}", timeout=30) as http:
        yield Edge(upstream, http, edge)
    server.stop(None).wait()


@pytest.fixture
def edge(shared: Edge) -> Edge:
    shared.upstream.answer = lambda context: pb.Exception()
    shared.upstream.asked.clear()
    return shared


def post(edge: Edge, body: str | bytes) -> httpx.Response:
    return edge.http.post(EXCEPTIONS, content=body, headers={"content-type": "application/json"})


# Fields of a JSON body


@pytest.mark.parametrize(
    ("body", "keys"),
    [
        ('{"message": "m", "location": {"start_byte": 1}, "stage": 1}', "message,location,stage"),
        ('{"extra": {"a": "}", "b": "{[\\"", "c": "\\\\"}, "mesage": 1}', "extra,mesage"),
        ('{"x": [{"a": 1}, {"b": [{"c": "]"}]}], "run": ""}', "x,run"),
        (' \n\t{\n"message"\r\n:\t"m"}\n', "message"),
        ('{"mess\\u0061ge": "m"}', "mess%5Cu0061ge"),
        ('{"a,b": 1, "*": 2, "é": 3, "a b": 4, "%": 5}', "a%2Cb,%2A,%C3%A9,a%20b,%25"),
        ('{"message": ",{", "run": "\\"}"}', "message,run"),
        # The transcoder is lenient: so is the list.
        ("{'mesage': 'm\"{', \"run\": 'x'}", "mesage,run"),
        ("{mesage : 'm', location: {start_byte: 5}, $x:1}", "mesage,location,%24x"),
        ('{"message": "m",}', "message"),
        ("{}", None),
    ],
)
def test_a_server_learns_the_fields_of_a_body(edge: Edge, body: str, keys: str | None) -> None:
    assert post(edge, body).status_code == 200
    assert edge.upstream.keys == keys


def test_a_body_of_many_fields_is_cut_short(edge: Edge) -> None:
    assert post(edge, json.dumps({f"f{n}": n for n in range(64)})).status_code == 200
    assert edge.upstream.keys == ",".join(f"f{n}" for n in range(64))
    assert post(edge, json.dumps({f"f{n}": n for n in range(65)})).status_code == 200
    assert edge.upstream.keys == ",".join(f"f{n}" for n in range(64)) + ",*"


def test_long_names_do_not_make_long_metadata(edge: Edge) -> None:
    assert post(edge, json.dumps({"message": "m", "x" * 100_000: 1})).status_code == 200
    assert edge.upstream.keys == "message,*"


@pytest.mark.parametrize("body", ["[]", "3", '"x"', "{", '{"a', "{:", '{"a":1}{"b":2}', "\ufeff{}"])
def test_what_is_no_json_object_is_refused(edge: Edge, body: str) -> None:
    refused = post(edge, body.encode())
    assert (refused.status_code, refused.json()["code"]) == (400, 3)
    assert not edge.upstream.asked


@pytest.mark.parametrize(
    "body",
    [
        '{"message": "a", "message": "b"}',
        '{"message": "a", "mess\\u0061ge": "b"}',
        '{"execution_id": "a", "executionId": "b"}',
        "{'message': 'a', message: 'b'}",
    ],
)
def test_a_field_that_comes_twice_is_refused(edge: Edge, body: str) -> None:
    refused = post(edge, body)
    assert (refused.status_code, refused.json()["code"]) == (400, 3)
    assert reason(refused.json()) == "MALFORMED_REQUEST"
    assert "twice" in refused.json()["message"]
    assert not edge.upstream.asked


@pytest.mark.parametrize(
    "body",
    [
        b'{"message":"%s"}' % (b"a" * 4_000_000),
        b'{"message":"%s"}' % (b'\\"' * 2_000_000),
        b'{"extra":{%s}}' % b",".join(b'"k%d":""' % n for n in range(250_000)),
    ],
)
def test_four_megabytes_pass_quickly(edge: Edge, body: bytes) -> None:
    begin = time.monotonic()
    assert post(edge, body).status_code == 200
    assert time.monotonic() - begin < 10
    assert edge.upstream.keys in ("message", "extra")


# Metadata and answers


def test_a_caller_cannot_speak_as_envoy(edge: Edge) -> None:
    forged = {
        "x-auth-subject": "users/root",
        "x-auth-address": "192.0.2.7",
        "x-json-keys": "nope",
        "x-http-code": "204",
        "x-envoy-original-path": "/elsewhere",
        "x-envoy-max-retries": "9",
    }
    assert edge.http.get(f"{EXCEPTIONS}/e", headers=forged).status_code == 200
    asked = edge.upstream.asked[-1]
    assert not {"x-auth-subject", "x-json-keys", "x-http-code", "x-envoy-max-retries"} & set(asked)
    assert asked["x-envoy-original-path"] == f"{EXCEPTIONS}/e"
    assert asked["x-auth-address"] == "127.0.0.1"


def test_a_grpc_caller_cannot_speak_as_envoy(edge: Edge) -> None:
    with grpc.insecure_channel(edge.address) as channel:
        call: Any = channel.unary_unary("/kintsugi.v1.ExceptionService/GetException")
        forged = (("x-json-keys", "a"), ("x-auth-subject", "b"), ("x-auth-address", "192.0.2.7"))
        call(b"", metadata=(*forged, ("x-http-code", "204"), ("x-mine", "c")))
    asked = edge.upstream.asked[-1]
    assert asked["x-mine"] == "c"
    assert asked["x-auth-address"] == "127.0.0.1"
    assert not {"x-json-keys", "x-auth-subject", "x-http-code"} & set(asked)


@pytest.mark.parametrize("http2", [False, True])
@pytest.mark.parametrize("code", [201, 202, 204])
def test_a_server_can_answer_with_another_code(edge: Edge, code: int, http2: bool) -> None:
    edge.upstream.answer = answer_with_code(code)
    with httpx.Client(base_url=f"http://{edge.address}", http1=not http2, http2=http2) as http:
        answer = http.get(f"{EXCEPTIONS}/e")
    assert answer.status_code == code
    told = [name for name in answer.headers if name.startswith(("grpc-", "x-"))]
    assert told == ["x-request-id"]
    if code == 204:
        assert answer.content == b""
        assert not {"content-type", "content-length"} & set(answer.headers)
    else:
        assert answer.json()["state"] == "EXCEPTION_STATE_UNSPECIFIED"


def answer_with_code(code: int) -> Answer:
    def answer(context: grpc.ServicerContext) -> Message:
        context.send_initial_metadata((("x-http-code", str(code)),))
        return pb.Exception()

    return answer


def test_no_grpc_header_leaks_into_json_answers(edge: Edge) -> None:
    answer = edge.http.get(f"{EXCEPTIONS}/e")
    assert set(answer.headers) == {"content-type", "content-length", "date", "x-request-id"}


def test_the_largest_message_can_be_read_as_json(edge: Edge) -> None:
    """4 MiB of characters of which JSON makes six each."""
    edge.upstream.answer = lambda context: pb.Exception(message="<" * 4 * 1024 * 1024)
    answer = edge.http.get(f"{EXCEPTIONS}/e")
    assert answer.status_code == 200
    assert len(answer.json()["message"]) == 4 * 1024 * 1024


def test_an_answer_that_is_too_large_is_an_error_that_says_so(edge: Edge) -> None:
    edge.upstream.answer = lambda context: pb.Exception(message="m" * 40_000_000)
    answer = edge.http.get(f"{EXCEPTIONS}/e")
    assert (answer.status_code, answer.json()["code"]) == (500, 13)
    assert reason(answer.json()) == "RESPONSE_TOO_LARGE"
    assert "smaller page" in answer.json()["message"]


# A server that is slow, dying or gone


def test_a_server_that_does_not_answer_is_504(edges: Edges) -> None:
    def late(context: grpc.ServicerContext) -> Message:
        time.sleep(5)
        return pb.Exception()

    server, address = serve(Upstream(late))
    edge = edges.start([address], ('"35s"', '"0.5s"'))
    answer = httpx.get(f"http://{edge}{EXCEPTIONS}/e", timeout=30)
    assert (answer.status_code, answer.json()["code"]) == (504, 4)
    assert reason(answer.json()) == "DEADLINE_PASSED"
    server.stop(None).wait()


def test_a_caller_that_does_not_finish_is_408(edges: Edges) -> None:
    server, address = serve(Upstream())
    edge = edges.start([address], ('"request_timeout": "60s"', '"request_timeout": "0.5s"'))

    def half() -> Iterator[bytes]:
        yield b'{"message":'
        time.sleep(2)

    answer = httpx.post(f"http://{edge}{EXCEPTIONS}", content=half(), timeout=30)
    assert (answer.status_code, answer.json()["code"]) == (408, 4)
    assert reason(answer.json()) == "DEADLINE_PASSED"
    server.stop(None).wait()


def test_without_a_server_it_is_503_until_one_is_back(edges: Edges) -> None:
    server, address = serve(Upstream())
    edge = edges.start([address])
    with httpx.Client(base_url=f"http://{edge}", timeout=30) as http:
        server.stop(None).wait()
        answer = http.get(f"{EXCEPTIONS}/e")
        assert (answer.status_code, answer.json()["code"]) == (503, 14)
        assert reason(answer.json()) == "SERVICE_UNAVAILABLE"
        again = grpc.server(ThreadPoolExecutor(2), handlers=[Upstream()])
        assert again.add_insecure_port(address)
        again.start()
        deadline = time.monotonic() + 20
        while http.get(f"{EXCEPTIONS}/e").status_code != 200:
            assert time.monotonic() < deadline
            time.sleep(0.1)
        again.stop(None).wait()


def test_calls_that_stay_open_take_no_places_of_others(edges: Edges) -> None:
    server, address = serve(Upstream())
    edge = edges.start([address], ('"max_requests": 4096\n', '"max_requests": 2\n'))
    with grpc.insecure_channel(edge) as channel:
        watch: Any = channel.unary_stream("/grpc.health.v1.Health/Watch")
        held = [watch(b"", timeout=30) for _ in range(2)]
        assert all(next(call) for call in held)
        with pytest.raises(grpc.RpcError) as refused:
            next(watch(b"", timeout=30))
        assert refused.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
        assert httpx.get(f"http://{edge}{EXCEPTIONS}", timeout=30).status_code == 200
        for call in held:
            call.cancel()
    server.stop(None).wait()


DYING = """
import os, sys, time
from concurrent.futures import ThreadPoolExecutor
import grpc
from grpc_health.v1.health_pb2 import HealthCheckResponse

class Dying(grpc.GenericRpcHandler):
    def service(self, details):
        if details.method == "/grpc.health.v1.Health/Check":
            alive = HealthCheckResponse(status=1).SerializeToString()
            return grpc.unary_unary_rpc_method_handler(lambda request, context: alive)
        return grpc.unary_unary_rpc_method_handler(lambda request, context: os._exit(1))

server = grpc.server(ThreadPoolExecutor(4), handlers=(Dying(),))
print(server.add_insecure_port("127.0.0.1:0"), flush=True)
server.start()
time.sleep(120)
"""


@pytest.fixture
def dying() -> Iterator[str]:
    """The address of a healthy server that dies over its first call."""
    argv = [sys.executable, "-c", DYING]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield f"127.0.0.1:{int(process.stdout.readline())}"
        process.kill()


def busy(context: grpc.ServicerContext) -> Message:
    time.sleep(0.02)
    return pb.Exception()


def calls(edge: str, method: str) -> list[int]:
    """The codes of 200 calls, 16 at a time: the living server is always the busier one."""
    with (
        httpx.Client(base_url=f"http://{edge}", timeout=30) as http,
        ThreadPoolExecutor(16) as pool,
    ):
        answers = pool.map(lambda _: http.request(method, EXCEPTIONS), range(200))
        return [answer.status_code for answer in answers]


def test_a_read_over_which_a_server_dies_is_answered_by_another(edges: Edges, dying: str) -> None:
    upstream = Upstream(busy)
    server, address = serve(upstream)
    assert calls(edges.start([address, dying]), "GET") == [200] * 200
    assert len(upstream.asked) == 200
    server.stop(None).wait()


def test_a_grpc_read_over_which_a_server_dies_is_answered_by_another(
    edges: Edges, dying: str
) -> None:
    server, address = serve(Upstream())
    with grpc.insecure_channel(edges.start([address, dying])) as channel:
        read: Any = channel.unary_unary("/kintsugi.v1.ExceptionService/GetException")
        assert [read(b"", timeout=30) for _ in range(20)] == [b""] * 20
    server.stop(None).wait()


def test_a_write_over_which_a_server_dies_is_never_sent_twice(edges: Edges, dying: str) -> None:
    """It may have happened: only the caller can know what to do, best with a request id."""
    upstream = Upstream()
    server, address = serve(upstream)
    answers = calls(edges.start([address, dying]), "POST")
    assert set(answers) == {200, 503}
    assert len(upstream.asked) == answers.count(200)
    server.stop(None).wait()
