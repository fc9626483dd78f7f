"""The state machine of an agent session. Pure: what else changes is decided elsewhere.

STARTED → ANALYZING → AWAITING_CONFIRMATION ⇄ EXECUTING → COMPLETED, and the other final states; of
a chat ACTIVE → ENDED.
"""

from typing import TypeAlias

from kintsugi.v1 import agent_session_pb2 as pb

from server.domain.errors import IllegalTransition

State: TypeAlias = "pb.AgentSession.State.ValueType"

STARTED = pb.AgentSession.STATE_STARTED
ANALYZING = pb.AgentSession.STATE_ANALYZING
AWAITING = pb.AgentSession.STATE_AWAITING_CONFIRMATION
EXECUTING = pb.AgentSession.STATE_EXECUTING
COMPLETED = pb.AgentSession.STATE_COMPLETED
FAILED = pb.AgentSession.STATE_FAILED
CANCELLED = pb.AgentSession.STATE_CANCELLED
EXPIRED = pb.AgentSession.STATE_EXPIRED
ACTIVE = pb.AgentSession.STATE_ACTIVE
ENDED = pb.AgentSession.STATE_ENDED

_NEXT: dict[State, frozenset[State]] = {
    STARTED: frozenset({ANALYZING, FAILED, CANCELLED, EXPIRED}),
    ANALYZING: frozenset({AWAITING, EXECUTING, COMPLETED, FAILED, CANCELLED}),
    AWAITING: frozenset({EXECUTING, COMPLETED, FAILED, CANCELLED, EXPIRED}),
    EXECUTING: frozenset({AWAITING, COMPLETED, FAILED, CANCELLED}),
    ACTIVE: frozenset({ENDED}),
}
"""ANALYZING → EXECUTING is an approval by policy, ANALYZING → COMPLETED one with nothing to do."""

FINAL = frozenset({COMPLETED, FAILED, CANCELLED, EXPIRED, ENDED})


def move(state: State, target: State) -> State:
    """The target. Raises IllegalTransition where it can't be reached in one step."""
    if state in FINAL:
        raise IllegalTransition(f"the agent session is {label(state)}")
    if target not in _NEXT.get(state, ()):
        raise IllegalTransition(
            f"an agent session that is {_name(state)} can't become {_name(target)}"
        )
    return target


def label(state: State) -> str:
    """`COMPLETED, which is final`"""
    return f"{_name(state)}, which is final" if state in FINAL else _name(state)


def _name(state: State) -> str:
    return pb.AgentSession.State.Name(state).removeprefix("STATE_")
