"""Following streams in tests: readers that keep what they are sent, or drop and resume."""

import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from itertools import islice
from typing import Any

import grpc
from kintsugi.v1 import event_pb2 as pb
from kintsugi.v1 import event_service_pb2 as service
from kintsugi.v1 import exception_service_pb2
from kintsugi.v1.event_source_service_pb2_grpc import EventSourceServiceStub

from server.domain.names import ThreadName, parse_thread
from server.operations.event_writer import Generations
from server.resources.event import EVENT
from server.store.connection import Database
from server.store.events import APPEND, append_parameters, local_name
from server.store.notifier import Notifier
from server.store.store import Store
from server.store.topics import thread_topic
from tests.integration.client import WORKSPACE, Client
from tests.integration.waiting import until


def new_thread() -> str:
    return f"{WORKSPACE}/automations/billing/runs/{uuid.uuid4().hex}/agents/kai"


class Reader:
    """Reads a stream in a thread of its own until it ends.

    Keeps all messages but those that are a cursor alone, and all cursors.
    """

    def __init__(self, call: Any) -> None:
        self.call = call
        self.messages: list[Any] = []
        self.cursors: list[str] = []
        self.error: grpc.RpcError | None = None
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        try:
            for message in self.call:
                self.cursors.append(message.cursor)
                if not is_checkpoint(message):
                    self.messages.append(message)
        except grpc.RpcError as error:
            self.error = error

    def wait_connected(self) -> None:
        self.call.initial_metadata()

    def wait(self, condition: Callable[[list[Any]], Any], seconds: float = 20) -> None:
        until(lambda: condition(self.messages), seconds)

    def wait_ended(self) -> None:
        self._thread.join(20)
        assert not self._thread.is_alive()

    @property
    def whole(self) -> list[str]:
        return whole(self.messages)

    def close(self) -> None:
        self.call.cancel()
        self._thread.join(20)


def is_checkpoint(message: Any) -> bool:
    return [field.name for field, _ in message.ListFields()] == ["cursor"]


def whole(messages: list[service.StreamEventsResponse]) -> list[str]:
    """The ids of the whole events, in the order in which they came."""
    complete = [each.event for each in messages if each.event.state == pb.Event.STATE_COMPLETE]
    return [event.name.rpartition("/")[2] for event in complete]


def stream(client: Client, thread: str, **fields: Any) -> Any:
    return client.events.StreamEvents(service.StreamEventsRequest(parent=thread, **fields))


def watch(client: Client, **fields: Any) -> Any:
    request = exception_service_pb2.WatchExceptionsRequest(parent=WORKSPACE, **fields)
    return client.exceptions.WatchExceptions(request)


def frames(client: Client, thread: str, metadata: Any = (), **fields: Any) -> Any:
    request = service.StreamEventsRequest(parent=thread, **fields)
    return EventSourceServiceStub(client.channel).StreamEvents(request, metadata=metadata)


@contextmanager
def reading(call: Any) -> Iterator[Reader]:
    """A reader that is connected."""
    with closing(Reader(call)) as reader:
        reader.wait_connected()
        yield reader


def drop_every(client: Client, thread: str, count: int, is_over: Callable[[], bool]) -> list[Any]:
    """All messages, got by dropping the stream after `count` and going on from the last cursor."""
    messages: list[Any] = []
    after = ""
    while True:
        was_over = is_over()
        call = stream(client, thread, after=after)
        taken = []
        for message in islice(call, count):
            taken.append(message)
            if is_checkpoint(message) and is_over():
                break  # to wait for `count` of those takes minutes
        call.cancel()
        messages += taken
        after = taken[-1].cursor
        if was_over and is_checkpoint(taken[-1]):
            return messages


class Writing:
    """A store of the test's own, as another process would have it."""

    def __init__(self, url: str) -> None:
        self._database = Database(url, connections=4)
        self._notifier = Notifier(url)
        self.store = Store(self._database, self._notifier)
        self.generations = Generations(self.store)

    def close(self) -> None:
        self.generations.close()
        self._notifier.close()
        self._database.close()

    def say_at_once(self, thread: str, count: int) -> None:
        """Appends so many messages in one transaction."""
        name = parse_thread(thread)
        workspace = self.store.workspace_key(name.parent)
        columns = EVENT.write(pb.Event(user_message={"content": "burst"}))
        parameters = append_parameters(local_name(name), [columns] * count)
        self._database.all(APPEND, {"workspace": workspace, **parameters})
        self._notifier.announce(thread_topic(workspace, local_name(name)))

    @staticmethod
    def thread(name: str) -> ThreadName:
        return parse_thread(name)
