"""What becomes of a session while nothing is executed: analysed, proposed, failed, expired.

Each is one transaction of the worker that holds it; executing is in `session_execution.py`.
"""

from collections.abc import Sequence
from typing import NamedTuple

from kintsugi.v1 import action_pb2, event_pb2, exception_pb2
from kintsugi.v1 import agent_session_pb2 as pb

from server.domain import action_state, agent_session_state
from server.domain.fingerprint import fingerprint
from server.domain.json_values import plain
from server.domain.names import AutomationName, GuideEntryName
from server.domain.policy import Mode, decide
from server.operations.action_ends import break_off
from server.operations.conclusion import Answer, Conclusion
from server.operations.proposals import Proposed
from server.operations.session_turn import GOING_ON, NEVER, Desk, Superseded, Turn
from server.store import leases
from server.store.leases import Due, Held, Lease
from server.store.sealing import Note, audit
from server.store.standing import STANDING

_PENDING = exception_pb2.EXCEPTION_STATE_PENDING
DEALT_WITH = "its exception was dealt with meanwhile"
_RESPONSE = "aiagent.response.complete"


class Standing(NamedTuple):
    """Where a session stands that a worker has just taken."""

    session: pb.AgentSession
    actions: Sequence[action_pb2.Action]
    held: Held


def look(desk: Desk, lease: Lease) -> Standing:
    """Where a session stands. Raises LeaseLost."""
    with desk.turn(lease, "GetAgentSession") as turn:
        return Standing(turn.session, list(turn.actions.values()), turn.held)


def begin_analysis(desk: Desk, lease: Lease, seconds: float) -> pb.AgentSession:
    """STARTED → ANALYZING, which may take so long in all. Raises Superseded, LeaseLost."""
    with desk.turn(lease, "AnalyseAgentSession") as turn:
        turn.check(agent_session_state.STARTED)
        leases.limit_analysis(turn.transaction, lease, seconds)
        turn.move(agent_session_state.ANALYZING, GOING_ON)
        return turn.session


def propose(desk: Desk, lease: Lease, found: Conclusion) -> bool:
    """Keeps what was concluded and proposes the actions; answers whether some are to be executed
    right away.

    ANALYZING → EXECUTING if a policy approves one, → COMPLETED if there is nothing to do, else →
    AWAITING_CONFIRMATION. Raises Superseded, LeaseLost.
    """
    with desk.turn(lease, "ProposeActions") as turn:
        turn.check(agent_session_state.ANALYZING)
        tell_tokens(turn, found)
        exception = turn.exception()
        if exception is not None and exception.state != _PENDING:
            close(turn, agent_session_state.CANCELLED, DEALT_WITH)
            return False
        turn.say(
            event_pb2.Event(agent_message=event_pb2.AgentMessage(content=found.analysis.summary))
        )
        is_approved = _propose_all(turn, _grouped(turn, exception, found.group), found.actions)
        target, due = _next(turn, found, is_approved=is_approved)
        waits = target == agent_session_state.AWAITING
        turn.move(target, due, expires=waits, fill=lambda session: _fill(session, found))
        return is_approved


def fail(desk: Desk, lease: Lease, error: str) -> None:
    """Gives up: any state → FAILED; what was begun is UNKNOWN, or FAILED if nothing has left here.

    Raises Superseded, LeaseLost.
    """
    with desk.turn(lease, "FailAgentSession") as turn:
        if turn.is_final:
            raise Superseded
        for action in turn.actions_in(action_state.EXECUTING):
            break_off(turn, action, error)
        close(turn, agent_session_state.FAILED, error)


def expire(desk: Desk, lease: Lease) -> None:
    """Nobody answered in time: → EXPIRED. Raises Superseded, LeaseLost."""
    with desk.turn(lease, "ExpireAgentSession") as turn:
        if not _waits(turn):
            raise Superseded
        what = "nobody approved or rejected anything in time"
        if turn.session.state == agent_session_state.STARTED:
            what = "nobody asked for an analysis in time"
        close(turn, agent_session_state.EXPIRED, what)


def withdraw(desk: Desk, lease: Lease) -> None:
    """Cancels a session that waits, if its exception was dealt with; else it waits on."""
    with desk.turn(lease, "CancelAgentSession") as turn:
        exception = turn.exception()
        if turn.is_final:
            turn.schedule(NEVER)
        elif not _waits(turn):
            turn.schedule(Due(0))  # a person was quicker
        elif exception is not None and exception.state != _PENDING:
            close(turn, agent_session_state.CANCELLED, DEALT_WITH)
        else:
            left = turn.held.expires_in
            turn.schedule(turn.patience if left is None else Due(max(left, 0)))


def _waits(turn: Turn) -> bool:
    """For a person: to be asked to analyse, or for approval."""
    if turn.session.state == agent_session_state.STARTED:
        return turn.held.expires_in is not None
    return turn.session.state == agent_session_state.AWAITING


def _propose_all(
    turn: Turn, exception: exception_pb2.Exception | None, proposed: Sequence[Proposed]
) -> bool:
    """Adds actions to the session; answers whether a policy approves one at once."""
    approved = False
    for action, each in zip(turn.propose(exception, proposed), proposed, strict=True):
        decision = decide(
            Mode.ACTIVE,
            None,
            risk=action.risk,
            automated=action.automated,
            standing_risk=(
                each.standing_risk(action) if _still_stands(turn, exception, action) else None
            ),
        )
        if decision.approves:
            turn.decide(action, action_state.APPROVED, decision.policy, decision.reason)
            approved = True
    return approved


def _still_stands(
    turn: Turn, exception: exception_pb2.Exception | None, action: action_pb2.Action
) -> bool:
    """Whether the guide entry says of the exception, by its version in use now, that exactly this
    may be done by itself: that may have been revoked since it was read."""
    if exception is None or action.replaces or not action.guide_entry:
        return False
    key = {
        "workspace": turn.lease.workspace,
        "id": GuideEntryName.parse(action.guide_entry).id,
        "automation": AutomationName.parse(exception.automation).automation,
        "fingerprint": fingerprint(exception.message),
    }
    said = turn.transaction.one(STANDING, key)
    done = [action.action_type, plain(action.parameters)]
    return said is not None and plain(said) == done


def _grouped(
    turn: Turn, exception: exception_pb2.Exception | None, group: str
) -> exception_pb2.Exception | None:
    """Gives an exception without a group the one that was found."""
    if exception is None or exception.group or not group:
        return exception

    def apply(changed: exception_pb2.Exception) -> None:
        changed.group = f"{turn.lease.name.parent}/exceptionGroups/{group}"

    return turn.change_exception(exception, apply)


def _next(
    turn: Turn, found: Conclusion, *, is_approved: bool
) -> tuple[agent_session_state.State, Due]:
    if is_approved:
        return agent_session_state.EXECUTING, GOING_ON
    if found.actions:
        return agent_session_state.AWAITING, turn.patience
    return agent_session_state.COMPLETED, NEVER


def _fill(session: pb.AgentSession, found: Conclusion) -> None:
    session.analysis.CopyFrom(found.analysis)
    count_tokens(session, found)


def count_tokens(session: pb.AgentSession, found: Conclusion | Answer) -> None:
    session.prompt_token_count += found.prompt_tokens
    session.completion_token_count += found.completion_tokens


def tell_tokens(turn: Turn, found: Conclusion | Answer) -> None:
    """Has the audit know of it."""
    tokens = {
        "total_prompt_tokens": found.prompt_tokens,
        "total_completion_tokens": found.completion_tokens,
    }
    note = Note(_RESPONSE, turn.lease.agent, str(turn.lease.name), tokens)
    audit(turn.transaction, turn.lease.workspace, note)


def close(turn: Turn, target: agent_session_state.State, why: str) -> None:
    """Ends a session and what is open of it; what has left here already is waited for."""
    state = (
        action_state.EXPIRED if target == agent_session_state.EXPIRED else action_state.CANCELLED
    )
    for action in turn.actions_in(action_state.PROPOSED, action_state.APPROVED):
        turn.move_action(action, state, why)
    is_executing = bool(turn.actions_in(action_state.EXECUTING))
    turn.move(target, Due(0) if is_executing else NEVER, why)
