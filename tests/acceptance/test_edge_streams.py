"""What Envoy makes of streams: framing, types, parameters, errors.

The server here streams what a test tells it; Envoy and envoy.yaml are the real ones.
"""

import json
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import httpx
import pytest
from kintsugi.v1 import event_service_pb2 as service

from tests.acceptance.edges import Edges, serve
from tests.acceptance.streaming import (
    EVENT_SOURCE,
    FRAMINGS,
    NATIVE,
    STREAM,
    THREAD,
    TYPES,
    WAYS,
    WORKSPACE,
    Edge,
    Upstream,
    over_http,
)

every_way = pytest.mark.parametrize("way", WAYS)
every_framing = pytest.mark.parametrize("framing", FRAMINGS)


@pytest.fixture(scope="module")
def shared(edges: Edges) -> Iterator[Edge]:
    upstream = Upstream()
    server, address = serve(upstream, threads=16)
    yield Edge(upstream, edges.start([address]))
    server.stop(None).wait()


@pytest.fixture
def edge(shared: Edge) -> Edge:
    shared.upstream.stream = lambda context: iter(("one",))
    shared.upstream.asked.clear()
    return shared


# What arrives, and when


@every_way
def test_the_first_message_arrives_before_the_second_is_made(edge: Edge, way: str) -> None:
    arrived = threading.Event()

    def stream(context: grpc.ServicerContext) -> Iterator[str]:
        yield "one"
        yield "two" if arrived.wait(60) else "held back"

    edge.upstream.stream = stream
    with WAYS[way](edge.address) as messages:
        assert next(messages) == "one"
        arrived.set()
        assert list(messages) == ["two"]


def test_a_line_is_the_message_with_its_defaults(edge: Edge) -> None:
    with httpx.stream("GET", f"http://{edge.address}{STREAM}", timeout=60) as answer:
        [line] = answer.iter_lines()
    assert json.loads(line) == {
        "event": {
            "name": f"{THREAD}/events/1",
            "state": "STATE_UNSPECIFIED",
            "agent_message": {"content": "one"},
            "exception": "",
            "kind": "EVENT_KIND_UNSPECIFIED",
        },
        "cursor": "one",
    }


def test_frames_arrive_as_the_server_wrote_them(edge: Edge) -> None:
    answer = get(edge, "sse")
    assert answer.text == "id: one\ndata: one\n\n"
    assert answer.headers["cache-control"] == "no-cache"
    told = [name for name in answer.headers if name.startswith(("grpc-", "x-"))]
    assert told == ["x-request-id"]


@pytest.mark.parametrize("accept", ["text/event-stream", "Text/Event-Stream, */*;q=0.1"])
def test_the_accept_header_asks_for_server_sent_events(edge: Edge, accept: str) -> None:
    assert get(edge, accept=accept).headers["content-type"] == "text/event-stream"
    assert edge.upstream.asked[-1][0] == f"{EVENT_SOURCE}StreamEvents"
    watch = get(edge, accept=accept, path=f"/api/v1/{WORKSPACE}/exceptions:watch")
    assert watch.headers["content-type"] == "text/event-stream"
    assert edge.upstream.asked[-1][0] == f"{EVENT_SOURCE}WatchExceptions"


@pytest.mark.parametrize("accept", ["*/*", "application/json", "text/html"])
def test_without_it_a_stream_is_lines(edge: Edge, accept: str) -> None:
    assert get(edge, accept=accept).headers["content-type"] == "application/x-ndjson"
    assert edge.upstream.asked[-1][0] == NATIVE


@every_framing
def test_parameters_reach_the_server_and_none_replaces_the_path(edge: Edge, framing: str) -> None:
    query = "?after=c&filter=a+%3D+b&parent=organizations/other/workspaces/w"
    assert get(edge, framing, query=query).status_code == 200
    expected = service.StreamEventsRequest(parent=THREAD, after="c", filter="a = b")
    assert edge.upstream.asked[-1][1] == expected


@every_framing
def test_a_large_message_passes_whole(edge: Edge, framing: str) -> None:
    large = "m" * 3_000_000
    edge.upstream.stream = lambda context: iter((large, large))
    with over_http(edge.address, framing, http2=True) as messages:
        assert list(messages) == [large, large]


def get(
    edge: Edge, framing: str = "ndjson", *, path: str = STREAM, query: str = "", **headers: str
) -> httpx.Response:
    all_headers = FRAMINGS[framing] | headers
    return httpx.get(f"http://{edge.address}{path}{query}", headers=all_headers, timeout=60)


# Errors


@every_framing
def test_an_error_before_the_first_message_is_one_record(edge: Edge, framing: str) -> None:
    def fail(context: grpc.ServicerContext) -> Iterator[str]:
        context.abort(grpc.StatusCode.NOT_FOUND, 'no "thread"\nhere')
        yield ""

    edge.upstream.stream = fail
    status = {"code": 5, "message": 'no "thread"\nhere', "details": []}
    assert record(get(edge, framing), framing, 404) == status


@every_framing
@pytest.mark.parametrize(
    ("query", "word"),
    [("?nope=1", "nope"), ("?%70arent=x", "percent")],
)
def test_a_parameter_that_cannot_be_is_refused(
    edge: Edge, framing: str, query: str, word: str
) -> None:
    refused = record(get(edge, framing, query=query), framing, 400)
    assert refused["code"] == 3
    assert word in refused["message"]
    assert not edge.upstream.asked


@every_framing
def test_a_body_is_refused(edge: Edge, framing: str) -> None:
    answer = httpx.request(
        "GET", f"http://{edge.address}{STREAM}", content="{}", headers=FRAMINGS[framing], timeout=60
    )
    assert record(answer, framing, 400)["code"] == 3


@every_framing
def test_without_a_server_it_is_unavailable(edges: Edges, framing: str) -> None:
    server, address = serve(Upstream())
    alone = Edge(Upstream(), edges.start([address]))
    server.stop(None).wait()
    assert record(get(alone, framing), framing, 503)["code"] == 14


@pytest.mark.parametrize("method", ["HEAD", "POST", "PUT", "DELETE", "OPTIONS"])
def test_only_get_opens_a_stream(edge: Edge, method: str) -> None:
    answer = httpx.request(method, f"http://{edge.address}{STREAM}", timeout=60)
    assert answer.status_code == 404
    assert not edge.upstream.asked


def record(answer: httpx.Response, framing: str, code: int) -> dict[str, Any]:
    """The google.rpc.Status that an answer in this framing is."""
    assert answer.status_code == code, answer.text
    assert answer.headers["content-type"] == TYPES[framing]
    begin, end = ("data: ", "\n\n") if framing == "sse" else ("", "\n")
    assert answer.text.startswith(begin)
    assert answer.text.endswith(end)
    [line] = answer.text.removesuffix(end).splitlines()
    status: dict[str, Any] = json.loads(line.removeprefix(begin))
    assert set(status) == {"code", "message", "details"}
    return status


@pytest.mark.parametrize("way", ["NDJSON", "server-sent events over HTTP/2"])
def test_an_error_in_its_midst_ends_a_stream_behind_what_was_sent(edge: Edge, way: str) -> None:
    def fail(context: grpc.ServicerContext) -> Iterator[str]:
        yield "one"
        context.abort(grpc.StatusCode.UNAVAILABLE, "stopping")

    edge.upstream.stream = fail
    with WAYS[way](edge.address) as messages:
        assert list(messages) == ["one"]


def test_many_readers_at_once(edge: Edge) -> None:
    edge.upstream.stream = lambda context: iter(map(str, range(50)))
    with ThreadPoolExecutor(16) as pool:
        ways = [way for way in WAYS.values() for _ in range(5)]
        for read in pool.map(lambda way: read_all(way, edge.address), ways):
            assert read == list(map(str, range(50)))


def read_all(way: Callable[[str], Any], edge: str) -> list[str]:
    with way(edge) as messages:
        return list(messages)
