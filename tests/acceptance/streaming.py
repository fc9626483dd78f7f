"""A server that streams what a test tells it, and all the ways to read a stream through Envoy.

For tests of the edge; the streams of the real servers have tests of their own.
"""

import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc
import httpx
from google.api.httpbody_pb2 import HttpBody
from kintsugi.v1 import event_service_pb2 as service
from kintsugi.v1.event_pb2 import AgentMessage, Event

from tests.acceptance.edges import HEALTH_CHECK, healthy

WORKSPACE = "organizations/local/workspaces/default"
THREAD = f"{WORKSPACE}/automations/a/runs/r/agents/kai"
STREAM = f"/api/v1/{THREAD}/events:stream"
NATIVE = "/kintsugi.v1.EventService/StreamEvents"
EVENT_SOURCE = "/kintsugi.v1.EventSourceService/"
FRAMINGS: dict[str, dict[str, str]] = {"ndjson": {}, "sse": {"accept": "text/event-stream"}}
TYPES = {"ndjson": "application/x-ndjson", "sse": "text/event-stream"}

Stream = Callable[[grpc.ServicerContext], Iterator[str]]


@dataclass
class Upstream(grpc.GenericRpcHandler):
    """Answers every call with a message for each text of `stream`, which tests set."""

    stream: Stream = lambda context: iter(("one",))
    asked: list[tuple[str, service.StreamEventsRequest]] = field(default_factory=list)

    def service(self, details: grpc.HandlerCallDetails) -> Any:
        if details.method == HEALTH_CHECK:
            return healthy()
        path = str(details.method)

        def answer(request: bytes, context: grpc.ServicerContext) -> Iterator[bytes]:
            self.asked.append((path, service.StreamEventsRequest.FromString(request)))
            yield from (message(path, text) for text in self.stream(context))

        return grpc.unary_stream_rpc_method_handler(answer)


def message(path: str, text: str) -> bytes:
    """A message, or, where the server writes the frames itself, a frame."""
    if path.startswith(EVENT_SOURCE):
        frame = f"id: {text}\ndata: {text}\n\n".encode()
        return HttpBody(content_type="text/event-stream", data=frame).SerializeToString()
    event = Event(name=f"{THREAD}/events/1", agent_message=AgentMessage(content=text))
    return service.StreamEventsResponse(event=event, cursor=text).SerializeToString()


@dataclass
class Edge:
    """An Envoy, and what it stands before."""

    upstream: Upstream
    address: str


@contextmanager
def over_http(edge: str, framing: str, http2: bool) -> Iterator[Iterator[str]]:
    with (
        httpx.Client(http1=not http2, http2=http2, timeout=60) as client,
        client.stream("GET", f"http://{edge}{STREAM}", headers=FRAMINGS[framing]) as answer,
    ):
        assert answer.status_code == 200
        assert answer.headers["content-type"] == TYPES[framing]
        lines = answer.iter_lines()
        if framing == "ndjson":
            yield (json.loads(line)["cursor"] for line in lines)
        else:
            yield (line.removeprefix("data: ") for line in lines if line.startswith("data"))


@contextmanager
def over_grpc(edge: str) -> Iterator[Iterator[str]]:
    options = [("grpc.use_local_subchannel_pool", 1)]
    with grpc.insecure_channel(edge, options=options) as channel:
        call: Any = channel.unary_stream(
            NATIVE, response_deserializer=service.StreamEventsResponse.FromString
        )
        yield (message.cursor for message in call(b"", timeout=60))


@contextmanager
def over_grpc_web(edge: str) -> Iterator[Iterator[str]]:
    headers = {"content-type": "application/grpc-web"}
    frame = b"\0\0\0\0\0"
    with httpx.stream(
        "POST", f"http://{edge}{NATIVE}", content=frame, headers=headers, timeout=60
    ) as answer:
        yield (message.cursor for message in grpc_web_messages(answer.iter_raw()))


def grpc_web_messages(chunks: Iterator[bytes]) -> Iterator[service.StreamEventsResponse]:
    """The messages of a gRPC-Web answer as they come, without its trailers."""
    got = b""
    for chunk in chunks:
        got += chunk
        while len(got) >= 5 and len(got) >= (end := 5 + int.from_bytes(got[1:5], "big")):
            if got[0] == 0:
                yield service.StreamEventsResponse.FromString(got[5:end])
            got = got[end:]


WAYS: dict[str, Callable[[str], AbstractContextManager[Iterator[str]]]] = {
    "NDJSON": lambda edge: over_http(edge, "ndjson", http2=False),
    "NDJSON over HTTP/2": lambda edge: over_http(edge, "ndjson", http2=True),
    "server-sent events": lambda edge: over_http(edge, "sse", http2=False),
    "server-sent events over HTTP/2": lambda edge: over_http(edge, "sse", http2=True),
    "gRPC": over_grpc,
    "gRPC-Web": over_grpc_web,
}
"""Each opens a stream through an Envoy and gives the texts of its messages, one by one."""
