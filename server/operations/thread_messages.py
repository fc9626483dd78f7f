"""What the service itself says about an exception, in the thread of agent `kai` of its run.

It is said in the transaction of what it is about, with the lock of the thread taken last.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from kintsugi.v1 import event_pb2
from kintsugi.v1 import exception_pb2 as pb

from server.domain.call import current_call
from server.domain.ids import new_id
from server.domain.markdown import quoting
from server.domain.names import RunAgentName, RunName
from server.resources.event import EVENT
from server.store.connection import Transaction
from server.store.events import APPEND, append_parameters, local_name
from server.store.exceptions import ASSIGNED_BY_GROUP, RAISED_AGAIN
from server.store.topics import thread_topic

_AGENT = "kai"
_OUTPUT = "output"
"""The key of `extra` in which `kintsugi exec` sends the last of what the run wrote."""

_TRANSITIONS = {
    pb.EXCEPTION_STATE_RESOLVED: "Resolved",
    pb.EXCEPTION_STATE_ARCHIVED: "Archived",
    pb.EXCEPTION_STATE_PENDING: "Unarchived",
}
"""By the state that an exception was brought to."""

Columns = dict[str, Any]
"""An event as `append_parameters` takes it."""

_SYSTEM_MESSAGE: Columns = EVENT.write(event_pb2.Event(system_message=event_pb2.SystemMessage()))
"""One that says nothing yet: its text and its exception are columns of their own."""


def thread_name(run: str) -> str:
    """What the table calls the thread of a run. Raises InvalidName."""
    name = RunName.parse(run)
    thread = RunAgentName(name.organization, name.workspace, name.automation, name.run, _AGENT)
    return local_name(thread)


def about_raising(raised: pb.Exception, stored: pb.Exception | None = None) -> list[Columns]:
    """The events about an exception that is, or was, raised; without `stored`, as a new one."""
    text = quoting("Raised", raised.message)
    if stored is not None and stored.occurrence_count > 1:
        text = RAISED_AGAIN % stored.occurrence_count
    elif stored is not None and stored.assignee != raised.assignee:
        text += ASSIGNED_BY_GROUP % stored.assignee
    name = stored.name if stored else ""
    said = [_said(text, name)]
    if output := raised.extra.get(_OUTPUT):
        result = event_pb2.ToolCallResult(tool_call_id=new_id(), result=output)
        said.append(EVENT.write(event_pb2.Event(tool_call_result=result, exception=name)))
    return said


def tell_raised(
    transaction: Transaction, workspace: str, raised: Sequence[tuple[pb.Exception, pb.Exception]]
) -> Iterable[str]:
    """Says what was raised, each as it was asked for and as it is stored; answers the topics."""
    by_run: dict[str, list[Columns]] = {}
    for asked, stored in raised:
        by_run.setdefault(stored.run, []).extend(about_raising(asked, stored))
    events = {thread_name(run): said for run, said in by_run.items()}
    # In the order in which everybody locks threads.
    transaction.each(
        APPEND, [_parameters(workspace, name, events[name]) for name in sorted(events)]
    )
    return [thread_topic(workspace, name) for name in events]


def tell_changed(
    transaction: Transaction,
    workspace: str,
    before: pb.Exception,
    after: pb.Exception,
    drafted: str = "",
) -> Iterable[str]:
    """Says what became of an exception, if there is something to say; answers the topics.

    `drafted` is the name of the guide entry that was drafted with it.
    """
    text = _change(before, after)
    if not text:
        return ()
    texts = [text, f"Drafted the guide entry `{drafted}`."] if drafted else [text]
    name, said = thread_name(after.run), [_said(each, after.name) for each in texts]
    transaction.one(APPEND, _parameters(workspace, name, said))
    return (thread_topic(workspace, name),)


def _change(before: pb.Exception, after: pb.Exception) -> str:
    caller = current_call().principal
    if after.state != before.state:
        done = f"{_TRANSITIONS[after.state]} by {caller}"
        note = after.resolution_note
        return quoting(done, note) if note else f"{done}."
    if after.assignee == before.assignee:
        return ""
    assigned = f"Assigned to {after.assignee}" if after.assignee else "Unassigned"
    return f"{assigned} by {caller}."


def _said(text: str, exception: str) -> Columns:
    return {**_SYSTEM_MESSAGE, "text": text, "exception": exception.rpartition("/")[2]}


def _parameters(workspace: str, thread: str, events: Sequence[Columns]) -> dict[str, Any]:
    return {"workspace": workspace, **append_parameters(thread, events)}
