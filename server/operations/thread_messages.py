"""What the service itself says about an exception, in the thread of agent `kai` of its run.

It is said in the transaction of what it is about, with the lock of the thread taken last.
"""

from collections.abc import Iterable, Sequence
from functools import lru_cache
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


@lru_cache(maxsize=1000)
def thread_name(run: str) -> str:
    """What the table calls the thread of a run. Raises InvalidName."""
    name = RunName.parse(run)
    thread = RunAgentName(name.organization, name.workspace, name.automation, name.run, _AGENT)
    return local_name(thread)


def about_raising(raised: pb.Exception) -> list[Columns]:
    """The events about an exception that is raised, the first as if it were a new one."""
    text = quoting("Raised", raised.message)
    said = [{**_SYSTEM_MESSAGE, "text": text, "asked": raised.assignee}]
    if output := raised.extra.get(_OUTPUT):
        result = event_pb2.ToolCallResult(tool_call_id=new_id(), result=output)
        said.append(EVENT.write(event_pb2.Event(tool_call_result=result)))
    return said


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
