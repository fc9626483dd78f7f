"""What becomes of a session whose actions are executed, one after the other by position.

Each is one transaction of the worker that holds it. What is sent, and when again, is decided in
`sessions/execution.py`; how the exception is resolved in the end, in `session_outcome.py`.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from google.protobuf.json_format import MessageToJson
from kintsugi.v1 import connector_pb2, event_pb2
from kintsugi.v1.action_pb2 import Action

from server.domain import action_state, agent_session_state
from server.failpoints import AFTER_RESULT_BEFORE_COMMIT, failpoint
from server.operations.proposals import connectors_for, why_changed
from server.operations.session_outcome import go_on
from server.operations.session_turn import GOING_ON, Desk, Turn
from server.outbound.sending import may_repeat
from server.resources.timestamps import set_timestamp
from server.store import attempts
from server.store.attempts import Attempt
from server.store.leases import Due, Lease

CUT_OFF = "it was cut off, and whether it was done isn't known"


class Sendable(NamedTuple):
    """An attempt that was begun: what is to be sent, and how."""

    action: Action
    http: connector_pb2.HttpRequest
    number: int


class Ended(NamedTuple):
    """What came of an action."""

    state: action_state.State
    response: Mapping[str, Any] | None = None
    error: str = ""


def begin_waiting(desk: Desk, lease: Lease, action: Action, seconds: float) -> None:
    """APPROVED → EXECUTING for an action that somebody else carries out, who has to take it within
    `seconds`; then the session is due again."""
    with desk.turn(lease, "ExecuteActions") as turn:
        if not (begun := _to_begin(turn, action)):
            return
        attempts.begin(turn.transaction, turn.key_of(begun), lease.token, seconds)
        turn.move_action(begun, action_state.EXECUTING, fill=_run)
        turn.schedule(Due(seconds))


def begin_sending(
    desk: Desk, lease: Lease, action: Action, margin: float, *, is_cut_off: bool
) -> Sendable | None:
    """Begins an attempt: EXECUTING, and written with when it is over for certain, which is the
    connector's timeout and the `margin` from now.

    None where it is no longer what was approved, isn't to be executed any more, or, where the
    attempt before `is_cut_off`, may not be repeated: then the action has ended.
    """
    with desk.turn(lease, "ExecuteActions") as turn:
        if not (begun := _to_begin(turn, action)):
            return None
        exception = turn.exception()
        types = [begun.action_type]
        connectors = connectors_for(turn.transaction, lease.workspace, lease.name.parent, types)
        if why := why_changed(begun, exception, connectors):
            _give_up(turn, begun, why)
            return None
        http = connectors[begun.action_type].http
        if is_cut_off and not may_repeat(http):
            _give_up(turn, begun, "")
            return None
        number = attempts.begin(
            turn.transaction, turn.key_of(begun), lease.token, seconds_of(http) + margin
        )
        if begun.state == action_state.APPROVED:
            begun = turn.move_action(begun, action_state.EXECUTING, fill=_run)
            turn.say(_request(begun))
        turn.schedule(GOING_ON)
        return Sendable(begun, http, number)


def seconds_of(http: connector_pb2.HttpRequest) -> float:
    """What one attempt may take."""
    return http.timeout.ToMilliseconds() / 1000 if http.HasField("timeout") else 30.0


def last_attempt(desk: Desk, lease: Lease, action: Action) -> Attempt | None:
    """How the last attempt at an action stands, and who has claimed it."""
    with desk.turn(lease, "GetAction") as turn:
        return attempts.last(turn.transaction, turn.key_of(action))


def wait(desk: Desk, lease: Lease, seconds: float) -> None:
    """Lets go of the session for so long."""
    with desk.turn(lease, "ExecuteActions") as turn:
        turn.schedule(Due(max(seconds, 0)))


def try_later(desk: Desk, lease: Lease, action: Action, seconds: float) -> None:
    """Ends an attempt that is to be repeated, and lets go of the session until then."""
    with desk.turn(lease, "ExecuteActions") as turn:
        attempts.end(turn.transaction, turn.key_of(action))
        turn.schedule(Due(seconds))


def finish(desk: Desk, lease: Lease, action: Action, ended: Ended) -> bool:
    """Ends an action with what came of it; answers whether there is another one to execute."""
    with desk.turn(lease, "ExecuteActions") as turn:
        found = _current(turn, action)
        if found.state == action_state.EXECUTING:
            _end(turn, found, ended)
        is_more = go_on(turn)
        failpoint(AFTER_RESULT_BEFORE_COMMIT)
        return is_more


def proceed(desk: Desk, lease: Lease) -> bool:
    """Goes on after what somebody else has ended; answers whether there is one to execute."""
    with desk.turn(lease, "ExecuteActions") as turn:
        return go_on(turn)


def _current(turn: Turn, action: Action) -> Action:
    [found] = [each for each in turn.actions if each.name == action.name]
    return found


def _to_begin(turn: Turn, action: Action) -> Action | None:
    """The action as it is now, if it is still to be executed."""
    found = _current(turn, action)
    is_open = found.state in (action_state.APPROVED, action_state.EXECUTING)
    if is_open and turn.session.state == agent_session_state.EXECUTING:
        return found
    if found.state == action_state.EXECUTING:
        _end(turn, found, Ended(action_state.UNKNOWN, error=CUT_OFF))
    go_on(turn)
    return None


def _give_up(turn: Turn, action: Action, why: str) -> None:
    """It is no longer what was approved; one that has left here already isn't repeated."""
    if action.state == action_state.APPROVED:
        turn.move_action(action, action_state.EXPIRED, why)
    else:
        error = f"{CUT_OFF}, and it isn't repeated: {why}" if why else CUT_OFF
        _end(turn, action, Ended(action_state.UNKNOWN, error=error))
    go_on(turn)


def _end(turn: Turn, action: Action, ended: Ended) -> None:
    key = turn.key_of(action)
    attempt = attempts.last(turn.transaction, key)
    attempts.end(turn.transaction, key)
    begun = attempt.first_send_time if attempt else turn.held.now

    def fill(changed: Action) -> None:
        result = changed.result
        result.success = ended.state == action_state.SUCCEEDED
        result.error = ended.error
        if ended.response:
            result.response.update(ended.response)
        set_timestamp(result.execute_time, begun)
        result.duration.FromMicroseconds(max(turn.held.now - begun, 0))
        _set_steps(changed, Action.Step.STATE_SUCCEEDED if result.success else _FAILED)

    turn.say(_answer(turn.move_action(action, ended.state, fill=fill)))


_FAILED = Action.Step.STATE_FAILED


def _run(action: Action) -> None:
    _set_steps(action, Action.Step.STATE_RUNNING)


def _set_steps(action: Action, state: "Action.Step.State.ValueType") -> None:
    for step in action.steps:
        step.state = state


def _request(action: Action) -> event_pb2.Event:
    sent = f"{action.request.method} {action.request.url}\n{action.request.body}"
    call = event_pb2.ToolCallRequest(
        tool_call_id=action.name.rpartition("/")[2],
        display_name=action.action_type,
        input=sent.rstrip(),
    )
    return event_pb2.Event(tool_call_request=call)


def _answer(action: Action) -> event_pb2.Event:
    result = MessageToJson(action.result, preserving_proto_field_name=True)
    call = event_pb2.ToolCallResult(tool_call_id=action.name.rpartition("/")[2], result=result)
    return event_pb2.Event(tool_call_result=call)
