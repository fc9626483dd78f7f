"""What becomes of a session whose actions are executed, one after the other by position.

Each is one transaction of the worker that holds it. What is sent, and when again, is decided in
`sessions/execution.py`; how the exception is resolved in the end, in `session_outcome.py`.
"""

from typing import NamedTuple

from kintsugi.v1 import connector_pb2, event_pb2, exception_pb2
from kintsugi.v1.action_pb2 import Action

from server.domain import action_state, agent_session_state
from server.domain.connector_rules import max_attempts, timeout_seconds
from server.failpoints import AFTER_RESULT_BEFORE_COMMIT, failpoint
from server.operations.action_ends import break_off, end, run
from server.operations.proposals import connectors_for, why_changed
from server.operations.session_outcome import go_on
from server.operations.session_progress import DEALT_WITH, close
from server.operations.session_turn import GOING_ON, Desk, Turn
from server.outbound.outcome import Kind, Outcome
from server.outbound.sending import may_repeat
from server.store import attempts
from server.store.attempts import Attempt
from server.store.leases import Due, Lease

_ENDED = "its session has ended"
_NOBODY = "nobody waits for the run"
_ABANDONED = "whoever ran it went away, and whether it was done isn't known"


class Sendable(NamedTuple):
    """An attempt that was begun: what is to be sent, and how."""

    action: Action
    http: connector_pb2.HttpRequest
    number: int


def begin_waiting(desk: Desk, lease: Lease, action: Action, seconds: float) -> None:
    """APPROVED → EXECUTING for an action that somebody else carries out, who has to take it within
    `seconds`; then the session is due again."""
    with desk.turn(lease, "ExecuteActions") as turn:
        begun = turn.actions[action.name]
        if _is_to_go_on(turn, begun, turn.exception()):
            attempts.begin(turn.transaction, turn.key_of(begun), lease.token, seconds)
            turn.move_action(begun, action_state.EXECUTING, fill=run)
            turn.schedule(Due(seconds))


def look_at_claim(desk: Desk, lease: Lease, action: Action) -> bool:
    """Ends an action that nobody has taken, or whose taker is gone; one that somebody may still
    end is waited for. Answers whether there is another one to execute."""
    with desk.turn(lease, "ExecuteActions") as turn:
        found = turn.actions[action.name]
        if found.state == action_state.EXECUTING:
            attempt = attempts.last(turn.transaction, turn.key_of(found))
            if attempt and attempt.claim_left > 0:
                turn.schedule(Due(attempt.claim_left))
                return False
            is_nobodys = attempt is not None and not attempt.claim
            kind, error = (Kind.UNSENT, _NOBODY) if is_nobodys else (Kind.CUT_OFF, _ABANDONED)
            end(turn, found, Outcome(kind, error=error))
        return go_on(turn)


def begin_sending(desk: Desk, lease: Lease, action: Action, margin: float) -> Sendable | None:
    """Begins an attempt: EXECUTING, and written with when it is over for certain, which is the
    connector's timeout and the `margin` from now.

    None where another worker's attempt isn't over yet, for which is waited, or where there is to be
    none: it is no longer what was approved, isn't to be executed any more, or may not be repeated.
    Then the action has ended.
    """
    with desk.turn(lease, "ExecuteActions") as turn:
        begun = turn.actions[action.name]
        attempt = attempts.last(turn.transaction, turn.key_of(begun))
        if attempt and not attempt.has_ended and attempt.seconds_left > 0:
            turn.schedule(Due(attempt.seconds_left))
            return None
        exception = turn.exception()
        if not _is_to_go_on(turn, begun, exception):
            return None
        types = [begun.action_type]
        connectors = connectors_for(turn.transaction, lease.workspace, lease.name.parent, types)
        if why := why_changed(begun, exception, connectors):
            _give_up(turn, begun, why)
            return None
        http = connectors[begun.action_type].http
        if begun.state == action_state.EXECUTING and not _is_to_repeat(http, attempt):
            _give_up(turn, begun, "")
            return None
        if attempt and not attempt.has_ended:  # its worker was killed
            attempts.end(turn.transaction, turn.key_of(begun), Kind.CUT_OFF.value)
        return _attempt(turn, begun, http, margin)


def finish(
    desk: Desk, lease: Lease, action: Action, outcome: Outcome, pause: float | None = None
) -> bool:
    """Ends an attempt, and the action with it; answers whether there is another one to execute.

    With a `pause` in seconds the attempt is followed by another one after it, unless the session
    was ended meanwhile.
    """
    with desk.turn(lease, "ExecuteActions") as turn:
        found = turn.actions[action.name]
        is_open = turn.session.state == agent_session_state.EXECUTING
        if found.state == action_state.EXECUTING:
            if pause is not None and is_open:
                attempts.end(turn.transaction, turn.key_of(found), outcome.kind.value)
                turn.schedule(Due(pause))
                return False
            end(turn, found, outcome)
        is_more = go_on(turn)
        failpoint(AFTER_RESULT_BEFORE_COMMIT)
        return is_more


def proceed(desk: Desk, lease: Lease) -> bool:
    """Goes on after what somebody else has ended; answers whether there is one to execute."""
    with desk.turn(lease, "ExecuteActions") as turn:
        return go_on(turn)


def _is_to_go_on(turn: Turn, action: Action, exception: exception_pb2.Exception | None) -> bool:
    """Whether an action is still to be executed; if not, that is the end of it."""
    is_open = turn.session.state == agent_session_state.EXECUTING
    if not is_open or action.state in action_state.FINAL:
        if action.state == action_state.EXECUTING:
            break_off(turn, action, _ENDED)
        go_on(turn)
        return False
    if exception is not None and exception.state != exception_pb2.EXCEPTION_STATE_PENDING:
        if action.state == action_state.EXECUTING:
            break_off(turn, action, DEALT_WITH)
        close(turn, agent_session_state.CANCELLED, DEALT_WITH)
        return False
    return True


def _is_to_repeat(http: connector_pb2.HttpRequest, attempt: Attempt | None) -> bool:
    """Whether the last attempt, which is over, may be followed by another one."""
    if attempt is None or attempt.number >= max_attempts(http):
        return False
    return attempt.has_ended or may_repeat(http)


def _attempt(
    turn: Turn, action: Action, http: connector_pb2.HttpRequest, margin: float
) -> Sendable:
    seconds = timeout_seconds(http) + margin
    number = attempts.begin(turn.transaction, turn.key_of(action), turn.lease.token, seconds)
    if action.state == action_state.APPROVED:
        action = turn.move_action(action, action_state.EXECUTING, fill=run)
        turn.say(_request(action))
    turn.schedule(GOING_ON)
    return Sendable(action, http, number)


def _give_up(turn: Turn, action: Action, why: str) -> None:
    """It is no longer what was approved, or not to be repeated."""
    if action.state == action_state.APPROVED:
        turn.move_action(action, action_state.EXPIRED, why)
    else:
        break_off(turn, action, why)
    go_on(turn)


def _request(action: Action) -> event_pb2.Event:
    sent = f"{action.request.method} {action.request.url}\n{action.request.body}"
    call = event_pb2.ToolCallRequest(
        tool_call_id=action.name.rpartition("/")[2],
        display_name=action.action_type,
        input=sent.rstrip(),
    )
    return event_pb2.Event(tool_call_request=call)
