"""The state machine of an action. Pure: what else changes is decided elsewhere.

PROPOSED → APPROVED → EXECUTING → SUCCEEDED | FAILED | UNKNOWN, or the other final states.
"""

from typing import TypeAlias

from kintsugi.v1 import action_pb2 as pb

from server.domain.errors import IllegalTransition

State: TypeAlias = "pb.Action.State.ValueType"

PROPOSED = pb.Action.STATE_PROPOSED
APPROVED = pb.Action.STATE_APPROVED
EXECUTING = pb.Action.STATE_EXECUTING
SUCCEEDED = pb.Action.STATE_SUCCEEDED
FAILED = pb.Action.STATE_FAILED
UNKNOWN = pb.Action.STATE_UNKNOWN
REJECTED = pb.Action.STATE_REJECTED
EXPIRED = pb.Action.STATE_EXPIRED
CANCELLED = pb.Action.STATE_CANCELLED

_NEXT: dict[State, frozenset[State]] = {
    PROPOSED: frozenset({APPROVED, REJECTED, EXPIRED, CANCELLED}),
    APPROVED: frozenset({EXECUTING, EXPIRED, CANCELLED}),
    EXECUTING: frozenset({SUCCEEDED, FAILED, UNKNOWN}),
}

FINAL = frozenset({SUCCEEDED, FAILED, UNKNOWN, REJECTED, EXPIRED, CANCELLED})


def move(state: State, target: State) -> State:
    """The target. Raises IllegalTransition where it can't be reached in one step."""
    if state in FINAL:
        raise IllegalTransition(f"the action is {label(state)}")
    if target not in _NEXT.get(state, ()):
        raise IllegalTransition(f"an action that is {_name(state)} can't become {_name(target)}")
    return target


def label(state: State) -> str:
    """`REJECTED, which is final`"""
    return f"{_name(state)}, which is final" if state in FINAL else _name(state)


def _name(state: State) -> str:
    return pb.Action.State.Name(state).removeprefix("STATE_")
