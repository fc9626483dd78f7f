"""The state machine of an exception: PENDING → RESOLVED, PENDING → ARCHIVED → PENDING.

Pure: what else changes with a transition, and who may ask for it, is decided elsewhere.
"""

from typing import TypeAlias

from kintsugi.v1 import exception_pb2 as pb

from server.domain.errors import IllegalTransition

State: TypeAlias = "pb.ExceptionState.ValueType"

_LABEL = {
    pb.EXCEPTION_STATE_PENDING: "PENDING",
    pb.EXCEPTION_STATE_RESOLVED: "RESOLVED, which is final",
    pb.EXCEPTION_STATE_ARCHIVED: "ARCHIVED",
}


def resolve(state: State) -> State:
    """PENDING → RESOLVED, once. Raises IllegalTransition from any other state."""
    return _move(state, "resolved", pb.EXCEPTION_STATE_PENDING, pb.EXCEPTION_STATE_RESOLVED)


def archive(state: State) -> State:
    """PENDING → ARCHIVED. Raises IllegalTransition from any other state."""
    return _move(state, "archived", pb.EXCEPTION_STATE_PENDING, pb.EXCEPTION_STATE_ARCHIVED)


def unarchive(state: State) -> State:
    """ARCHIVED → PENDING. Raises IllegalTransition from any other state."""
    return _move(state, "unarchived", pb.EXCEPTION_STATE_ARCHIVED, pb.EXCEPTION_STATE_PENDING)


def _move(state: State, done: str, source: State, target: State) -> State:
    if state != source:
        raise IllegalTransition(
            f"only an exception that is {_LABEL[source]} can be {done}; this one is {_LABEL[state]}"
        )
    return target
