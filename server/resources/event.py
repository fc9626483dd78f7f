"""The declaration of Event: its columns, and how a row becomes a message and back.

What is appended by whom is in `operations/`.
"""

from typing import Any

from kintsugi.v1 import event_pb2 as pb
from sqlalchemy import ColumnElement, Text, bindparam, func, literal_column

from filters import Enum, ResourceId, Schema, Timestamp
from server.domain.errors import NotFound, Violation
from server.domain.names import EventName, ThreadName, WorkspaceName
from server.domain.timestamps import set_timestamp
from server.resources.resource import Make, Resource
from server.store.connection import Row
from server.store.events import EVENT_COLUMNS, text_so_far, thread_id, thread_workspace
from server.store.statements import Key
from server.store.store import Store
from server.store.tables import events

_NO_THREAD = 0
_MAX_DIGITS = 18
_WORKSPACE_SEGMENTS = 4

_TEXTS = {
    "user_message": "content",
    "agent_message": "content",
    "tool_call_request": "input",
    "tool_call_result": "result",
    "thinking": "content",
    "system_message": "content",
    "completion_response": "content",
}
"""The contents in the order of EventKind, each with its field that holds the text."""

_CONTENTS = {number: (name, _TEXTS[name]) for number, name in enumerate(_TEXTS, start=1)}
_KINDS = {name: number for number, (name, _) in _CONTENTS.items()}


def _read(make: Make[pb.Event], parent: str, row: Row) -> pb.Event:
    create_time, update_time, id, state, kind, exception, text, details = row
    event = make(name=f"{parent}/events/{id}", state=state, kind=kind)
    event.MergeFromString(details)
    if text:
        content, field = _CONTENTS[kind]
        setattr(getattr(event, content), field, text)
    if exception:
        workspace = "/".join(parent.split("/", _WORKSPACE_SEGMENTS)[:_WORKSPACE_SEGMENTS])
        event.exception = f"{workspace}/exceptions/{exception}"
    set_timestamp(event.create_time, create_time)
    set_timestamp(event.update_time, update_time)
    return event


def _write(event: pb.Event) -> dict[str, Any]:
    """`kind`, `exception`, `text` and `details` of an event that has a content."""
    name: str = event.WhichOneof("event_data") or ""
    content, field = getattr(event, name), _TEXTS[name]
    text: str = getattr(content, field)
    rest = pb.Event()
    kept = getattr(rest, name)
    kept.CopyFrom(content)
    if text:
        kept.ClearField(field)
    kept.SetInParent()
    return {
        "kind": _KINDS[name],
        "exception": event.exception.rpartition("/")[2],
        "text": text,
        "details": rest.SerializeToString(),
    }


def _scope_key(store: Store, thread: ThreadName) -> tuple[Any, ...]:
    """A thread without events yet has no row, and nothing in it."""
    workspace = thread_workspace(store, thread)
    return workspace, thread_id(store, workspace, thread) or _NO_THREAD


def _row_id(name: EventName) -> int:
    id = name.id
    is_number = id.isascii() and id.isdecimal() and len(id) <= _MAX_DIGITS
    if not is_number or id.startswith("0"):
        raise NotFound(name)
    return int(id)


def _workspace(name: EventName) -> WorkspaceName:
    return name.parent.parent


def _violations(_name: EventName, _event: pb.Event) -> list[Violation]:
    return []


_c = events.c
_PARENT: ColumnElement[str] = bindparam("parent", type_=Text)
_WORKSPACE = func.substring(_PARENT, literal_column("'^[^/]+/[^/]+/[^/]+/[^/]+'"), type_=Text)
"""The name of the workspace, out of the thread's; neither stands in a row."""

FILTERS = Schema(
    exception=ResourceId(
        "exceptions",
        _c.exception,
        parent=_WORKSPACE,
        description='The exception that it is about; `exception = ""` is about none.',
    ),
    state=Enum(pb.Event.State, _c.state, description="Whether its content is whole."),
    kind=Enum(pb.EventKind, _c.kind, description="Which content it has."),
    create_time=Timestamp(_c.create_time, description="When it began."),
)

EVENT: Resource[pb.Event, EventName] = Resource(
    singular="event",
    message=pb.Event,
    name=EventName,
    table=events,
    columns=EVENT_COLUMNS,
    read=_read,
    write=_write,
    scope=("workspace", "thread"),
    scope_key=_scope_key,
    workspace=_workspace,
    workspace_column="workspace",
    violations=_violations,
    row_id=_row_id,
    computed={"text": text_so_far()},
    filters=FILTERS,
    order=(Key("id", descending=True),),
    # One may hold some MiB.
    step=16,
)
