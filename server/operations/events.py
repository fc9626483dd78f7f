"""What can be done to events: say something in a thread. Its transaction is its own.

What the service itself says is in `thread_messages.py`, what agents generate in `generation.py`.
"""

from collections.abc import Sequence

from kintsugi.v1 import event_pb2 as pb
from kintsugi.v1 import event_service_pb2 as service

from server.domain.call import current_call
from server.domain.errors import InvalidFields
from server.domain.event_rules import violations
from server.domain.names import (
    AgentSessionName,
    EventName,
    ExceptionName,
    RunAgentName,
    ThreadName,
    parse_thread,
)
from server.operations.chats import Chats
from server.resources.collection import Collection
from server.resources.event import EVENT
from server.store.changes import change_parameters, once
from server.store.events import (
    CREATE,
    RUN_OF_EXCEPTION,
    local_name,
    one_parameters,
    thread_workspace,
)
from server.store.store import Store
from server.store.topics import thread_topic

Events = Collection[pb.Event, EventName]


def create(events: Events, chats: Chats, request: service.CreateEventRequest) -> pb.Event:
    """Appends a message of the caller's. Raises InvalidFields, NotFound; in a chat, what asking
    there does."""
    thread, event = parse_thread(request.parent), request.event
    caller = current_call().principal
    _check(violations(thread, event, caller))
    store = events.store
    workspace = thread_workspace(store, thread)
    if event.exception:
        _check_exception(store, workspace, thread, ExceptionName.parse(event.exception))
    said = pb.Event(user_message=event.user_message, exception=event.exception)
    said.user_message.user = caller
    parameters = {
        "workspace": workspace,
        **one_parameters(local_name(thread), EVENT.write(said)),
    }

    def work() -> pb.Event:
        if isinstance(thread, AgentSessionName) and chats.has(thread):
            return chats.ask(thread, request, parameters)
        recording = change_parameters(request, f"{thread}/events")
        [row] = store.database.all(CREATE, parameters | recording)
        store.notifier.announce(thread_topic(workspace, local_name(thread)))
        return EVENT.read(pb.Event, str(thread), row)

    def repeat(names: Sequence[str]) -> pb.Event:
        return events.get(EventName.parse(names[-1]))

    return once(store, workspace, request, work, repeat)


def _check_exception(store: Store, workspace: str, thread: ThreadName, name: ExceptionName) -> None:
    row = store.database.one(RUN_OF_EXCEPTION, {"workspace": workspace, "id": name.id})
    if row is None:
        _check([("exception", f"{name} doesn't exist")])
    elif isinstance(thread, RunAgentName) and tuple(row) != (thread.automation, thread.run):
        _check([("exception", f"{name} is of another run")])


def _check(found: Sequence[tuple[str, str]]) -> None:
    if found:
        raise InvalidFields([(f"event.{field}", what) for field, what in found])
