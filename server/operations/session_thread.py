"""What is said about an agent session in its thread: where it and its actions stand, and why.

It is said in the transaction of what it is about, with the lock of the thread taken last.
"""

from collections.abc import Iterable, Sequence

from kintsugi.v1 import action_pb2, event_pb2
from kintsugi.v1 import agent_session_pb2 as pb

from server.domain import action_state, agent_session_state
from server.domain.markdown import quoting
from server.domain.names import parse_thread
from server.resources.event import EVENT
from server.store.connection import Transaction
from server.store.events import APPEND, append_parameters, local_name
from server.store.topics import thread_topic

_SESSION = {
    agent_session_state.STARTED: "Started by {creator}",
    agent_session_state.ANALYZING: "Looking at what happened",
    agent_session_state.AWAITING: "Waiting for approval",
    agent_session_state.EXECUTING: "Executing what was approved",
    agent_session_state.COMPLETED: "Completed",
    agent_session_state.FAILED: "Failed",
    agent_session_state.CANCELLED: "Cancelled",
    agent_session_state.EXPIRED: "Expired",
    agent_session_state.ACTIVE: "A chat, begun by {creator}",
    agent_session_state.ENDED: "Ended",
}
"""By the state that it has come to."""

_ACTION = {
    action_state.PROPOSED: "proposed",
    action_state.APPROVED: "approved by {approver}",
    action_state.EXECUTING: "begun",
    action_state.SUCCEEDED: "succeeded",
    action_state.FAILED: "failed",
    action_state.UNKNOWN: "cut off: it isn't known whether it was done",
    action_state.REJECTED: "rejected by {approver}",
    action_state.EXPIRED: "expired",
    action_state.CANCELLED: "cancelled",
}


def about_session(session: pb.AgentSession) -> list[event_pb2.Event]:
    """What is said when a session has come to the state that it is in: once that is final, as what
    came of it."""
    what = _SESSION[session.state].format(creator=session.creator)
    why = session.error or session.summary
    if session.state == agent_session_state.FAILED:
        return [_response(error=why)]
    text = quoting(what, why) if why else f"{what}."
    if session.state in agent_session_state.FINAL:
        return [_response(content=text)]
    return [event_pb2.Event(system_message=event_pb2.SystemMessage(content=text))]


def _response(**said: str) -> event_pb2.Event:
    return event_pb2.Event(completion_response=event_pb2.CompletionResponse(**said))


def about_action(action: action_pb2.Action) -> event_pb2.Event:
    """What is said when an action has come to the state that it is in."""
    what = f"`{action.action_type}` {_ACTION[action.state].format(approver=action.approver)}"
    why = action.state_reason or action.result.error
    text = quoting(what, why) if why else f"{what}."
    return event_pb2.Event(system_message=event_pb2.SystemMessage(content=text))


def tell(
    transaction: Transaction,
    workspace: str,
    session: pb.AgentSession,
    events: Sequence[event_pb2.Event],
) -> Iterable[str]:
    """Appends events to the thread of a session; answers the topics."""
    if not events:
        return ()
    thread = local_name(parse_thread(session.thread))
    columns = [EVENT.write(event) | {"exception": _id(session.exception)} for event in events]
    given = append_parameters(thread, columns)
    transaction.one(APPEND, {"workspace": workspace, **given})
    return (thread_topic(workspace, thread),)


def _id(name: str) -> str:
    return name.rpartition("/")[2]
