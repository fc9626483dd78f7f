"""EventService: each method converts, calls one operation, converts.

Identity, permission, deadlines, errors, logging and metrics are the interceptors'.
"""

from collections.abc import Iterator

import grpc
from kintsugi.v1 import event_pb2 as pb
from kintsugi.v1 import event_service_pb2 as service
from kintsugi.v1.event_service_pb2_grpc import EventServiceServicer

from server.domain.names import EventName, parse_thread
from server.operations import events as operations
from server.operations import generation
from server.operations.chats import Chats
from server.resources.collection import Collection
from server.resources.event import EVENT
from server.store.store import Store
from server.streams.follow import stream_events
from server.streams.hub import Hub


class EventService(EventServiceServicer):
    def __init__(self, store: Store, hub: Hub, chats: Chats) -> None:
        self._store = store
        self._chats = chats
        self._hub = hub
        self._events = Collection(store, EVENT)

    def CreateEvent(
        self, request: service.CreateEventRequest, context: grpc.ServicerContext
    ) -> pb.Event:
        return operations.create(self._events, self._chats, request)

    def GetEvent(self, request: service.GetEventRequest, context: grpc.ServicerContext) -> pb.Event:
        return self._events.get(EventName.parse(request.name))

    def ListEvents(
        self, request: service.ListEventsRequest, context: grpc.ServicerContext
    ) -> service.ListEventsResponse:
        response = service.ListEventsResponse()
        parent = parse_thread(request.parent)
        self._events.list(parent, request, response, response.events)
        return response

    def StreamEvents(
        self, request: service.StreamEventsRequest, context: grpc.ServicerContext
    ) -> Iterator[service.StreamEventsResponse]:
        return stream_events(self._hub, request, context)

    def CancelGeneration(
        self, request: service.CancelGenerationRequest, context: grpc.ServicerContext
    ) -> service.CancelGenerationResponse:
        return generation.cancel(self._store, request)
