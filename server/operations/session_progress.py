"""What becomes of a session while nothing is executed: analysed, proposed, failed, expired.

Each is one transaction of the worker that holds it; executing is in `session_execution.py`.
"""

from collections.abc import Sequence
from typing import NamedTuple

from kintsugi.v1 import action_pb2, exception_pb2
from kintsugi.v1 import agent_session_pb2 as pb

from server.domain import action_state, agent_session_state
from server.domain.policy import Mode, decide
from server.operations import proposals
from server.operations.conclusion import Conclusion
from server.operations.session_turn import GOING_ON, NEVER, Desk, Turn
from server.store.leases import Due, Held, Lease
from server.store.sealing import Note, audit

_PENDING = exception_pb2.EXCEPTION_STATE_PENDING
_DEALT_WITH = "its exception was dealt with meanwhile"
_RESPONSE = "aiagent.response.complete"


class Standing(NamedTuple):
    """Where a session stands that a worker has just taken."""

    session: pb.AgentSession
    actions: Sequence[action_pb2.Action]
    held: Held


class Superseded(Exception):
    """The session isn't any more in the state that the worker went on from."""


def look(desk: Desk, lease: Lease) -> Standing:
    """Where a session stands. Raises LeaseLost."""
    with desk.turn(lease, "GetAgentSession") as turn:
        return Standing(turn.session, turn.actions, turn.held)


def begin_analysis(
    desk: Desk, lease: Lease
) -> tuple[pb.AgentSession, exception_pb2.Exception | None]:
    """STARTED → ANALYZING, unless it is already; answers the session and its exception."""
    with desk.turn(lease, "AnalyseAgentSession") as turn:
        if turn.session.state == agent_session_state.STARTED:
            turn.move(agent_session_state.ANALYZING, GOING_ON)
        return turn.session, turn.exception()


def propose(desk: Desk, lease: Lease, found: Conclusion, approval_seconds: float) -> bool:
    """Keeps what was concluded and proposes the actions; answers whether some are to be executed
    right away.

    ANALYZING → EXECUTING if a policy approves one, → COMPLETED if there is nothing to do, else →
    AWAITING_CONFIRMATION. Raises Superseded, LeaseLost.
    """
    with desk.turn(lease, "ProposeActions") as turn:
        if turn.session.state != agent_session_state.ANALYZING:
            raise Superseded
        _audit(turn, found)
        turn.actions  # noqa: B018 - locked before the exception
        exception = turn.exception()
        if exception is not None and exception.state != _PENDING:
            _close(turn, agent_session_state.CANCELLED, _DEALT_WITH)
            return False
        exception = _grouped(turn, exception, found.group)
        turn.say(event_pb2_message(found.analysis.summary))
        approved = _proposed(turn, exception, found)
        return _settled(turn, found, approval_seconds, approved=approved)


def fail(desk: Desk, lease: Lease, error: str) -> None:
    """Gives up: any state → FAILED."""
    with desk.turn(lease, "FailAgentSession") as turn:
        _close(turn, agent_session_state.FAILED, error)


def expire(desk: Desk, lease: Lease) -> None:
    """Nobody answered in time: → EXPIRED."""
    with desk.turn(lease, "ExpireAgentSession") as turn:
        what = "nobody approved or rejected anything in time"
        if turn.session.state == agent_session_state.STARTED:
            what = "nobody asked for an analysis in time"
        _close(turn, agent_session_state.EXPIRED, what)


def withdraw(desk: Desk, lease: Lease) -> None:
    """Cancels a session that waits, if its exception was dealt with; else it waits on."""
    with desk.turn(lease, "CancelAgentSession") as turn:
        turn.actions  # noqa: B018 - locked before the exception
        exception = turn.exception()
        if turn.is_final:
            turn.schedule(NEVER)
        elif exception is not None and exception.state != _PENDING:
            _close(turn, agent_session_state.CANCELLED, _DEALT_WITH)
        else:
            turn.schedule(Due(max(turn.held.expires_in or 0, 0), expires=True))
