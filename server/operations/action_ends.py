"""How an action ends that was begun, and its attempt with it, in a worker's transaction.

When it ends is decided in `session_execution.py` and `session_progress.py`.
"""

from google.protobuf.json_format import MessageToJson
from kintsugi.v1 import event_pb2
from kintsugi.v1.action_pb2 import Action

from server.domain import action_state
from server.domain.timestamps import set_timestamp
from server.operations.session_turn import Turn
from server.outbound.outcome import Kind, Outcome
from server.store import attempts
from server.store.attempts import Attempt

_CUT_OFF = "it was cut off, and whether it was done isn't known"

_ONE_CUT_OFF = "an attempt before that was cut off, and whether it was done isn't known"


def break_off(turn: Turn, action: Action, why: str) -> None:
    """Ends one that is EXECUTING, and at which there is no further attempt: FAILED where nothing
    has left here, else UNKNOWN."""
    attempt = attempts.last(turn.transaction, turn.key_of(action))
    error = f"{_CUT_OFF}, and it isn't repeated: {why}" if why else _CUT_OFF
    if attempt and attempt.never_left:
        error = why
    end(turn, action, Outcome(Kind.CUT_OFF, error=error))


def end(turn: Turn, action: Action, outcome: Outcome) -> None:
    """Ends what hasn't ended of it. It has FAILED only where every attempt that has left here was
    answered."""
    key = turn.key_of(action)
    attempts.end(turn.transaction, key, outcome.kind.value)
    attempt = attempts.last(turn.transaction, key)
    begun = attempt.first_send_time if attempt else turn.now
    state = _state(outcome.kind, attempt)
    is_doubted = outcome.kind is Kind.FAILED and state == action_state.UNKNOWN

    def fill(changed: Action) -> None:
        result = changed.result
        result.success = state == action_state.SUCCEEDED
        result.error = f"{outcome.error}; {_ONE_CUT_OFF}" if is_doubted else outcome.error
        if outcome.response:
            result.response.update(outcome.response)
        set_timestamp(result.execute_time, begun)
        result.duration.FromMicroseconds(max(turn.now - begun, 0))
        _set_steps(changed, _STEP_ENDS[state])

    turn.say(_answer(turn.move_action(action, state, fill=fill)))


def _state(kind: Kind, attempt: Attempt | None) -> action_state.State:
    if kind is Kind.SUCCEEDED:
        return action_state.SUCCEEDED
    if kind is Kind.FAILED and not (attempt and attempt.was_cut_off):
        return action_state.FAILED
    return action_state.FAILED if attempt and attempt.never_left else action_state.UNKNOWN


_STEP_ENDS = {
    action_state.SUCCEEDED: Action.Step.STATE_SUCCEEDED,
    action_state.FAILED: Action.Step.STATE_FAILED,
    action_state.UNKNOWN: Action.Step.STATE_UNKNOWN,
}


def run(action: Action) -> None:
    """Has its steps be what is under way."""
    _set_steps(action, Action.Step.STATE_RUNNING)


def _set_steps(action: Action, state: "Action.Step.State.ValueType") -> None:
    for step in action.steps:
        step.state = state


def _answer(action: Action) -> event_pb2.Event:
    result = MessageToJson(action.result, preserving_proto_field_name=True)
    call = event_pb2.ToolCallResult(tool_call_id=action.name.rpartition("/")[2], result=result)
    return event_pb2.Event(tool_call_result=call)
