"""The event service as the commands need it: what is said in one thread.

How it is reached is in `connection`, how events look is in `conversation`.
"""

from collections.abc import Iterator

from kintsugi.v1 import event_pb2 as pb
from kintsugi.v1 import event_service_pb2 as service
from kintsugi.v1.event_service_pb2_grpc import EventServiceStub

from cli.following import Tell
from cli.service_client import ServiceClient
from cli.terminal import say


class Threads(ServiceClient[EventServiceStub]):
    """The event service as methods; `parent` is a thread's name. Each raises ServiceError."""

    STUB = EventServiceStub

    def pages(
        self, parent: str, limit: int, matching: str = ""
    ) -> Iterator[service.ListEventsResponse]:
        """Pages of what matches, newest first, with at most `limit` events in all."""
        request = service.ListEventsRequest(parent=parent, filter=matching)
        return self._pages(self._stub.ListEvents, request, limit)

    def create(self, parent: str, message: pb.UserMessage, exception: str = "") -> pb.Event:
        event = pb.Event(user_message=message, exception=exception)
        request = service.CreateEventRequest(parent=parent, event=event)
        return self._call(self._stub.CreateEvent, request)

    def follow(
        self, parent: str, matching: str = "", *, until: float | None = None, tell: Tell = say
    ) -> Iterator[service.StreamEventsResponse | None]:
        """What matches, from the first event on; see Following. The service was reached before."""
        request = service.StreamEventsRequest(parent=parent, filter=matching)
        stream = self._stub.StreamEvents
        return self._follow(stream, request, reached=True, until=until, tell=tell)
