"""EventSourceService: the streams as server-sent events, in frames of their own making.

What is streamed is the same as over gRPC.
"""

from collections.abc import Iterator

import grpc
from google.api.httpbody_pb2 import HttpBody
from kintsugi.v1.event_service_pb2 import StreamEventsRequest
from kintsugi.v1.event_source_service_pb2_grpc import EventSourceServiceServicer
from kintsugi.v1.exception_service_pb2 import WatchExceptionsRequest

from server.streams.follow import follow_exceptions, follow_thread
from server.streams.hub import Hub
from server.streams.sent import CONTENT_TYPE, Sent

_BEGIN = HttpBody(content_type=CONTENT_TYPE, data=b"retry: 1000\n\n")
"""After how many milliseconds a client that lost its connection comes back."""


class EventSourceService(EventSourceServiceServicer):
    def __init__(self, hub: Hub) -> None:
        self._hub = hub

    def StreamEvents(
        self, request: StreamEventsRequest, context: grpc.ServicerContext
    ) -> Iterator[HttpBody]:
        return _frames(follow_thread(self._hub, request, _after(request.after, context), context))

    def WatchExceptions(
        self, request: WatchExceptionsRequest, context: grpc.ServicerContext
    ) -> Iterator[HttpBody]:
        after = _after(request.after, context)
        return _frames(follow_exceptions(self._hub, request, after, context))


def _after(after: str, context: grpc.ServicerContext) -> str:
    """`Last-Event-ID` is what a client got last; the URL that it repeats is older."""
    given = [str(value) for name, value in context.invocation_metadata() if name == "last-event-id"]
    return given[-1] if given and given[-1] else after


def _frames(stream: Iterator[Sent | None]) -> Iterator[HttpBody]:
    for sent in stream:
        yield _BEGIN if sent is None else sent.frame
