"""The state machine of an exception, whole: every transition from every state."""

import pytest
from kintsugi.v1 import exception_pb2 as pb

from server.domain import exception_state
from server.domain.errors import IllegalTransition

PENDING = pb.EXCEPTION_STATE_PENDING
RESOLVED = pb.EXCEPTION_STATE_RESOLVED
ARCHIVED = pb.EXCEPTION_STATE_ARCHIVED
LEGAL = {
    ("resolve", PENDING): RESOLVED,
    ("archive", PENDING): ARCHIVED,
    ("unarchive", ARCHIVED): PENDING,
}


@pytest.mark.parametrize("state", [PENDING, RESOLVED, ARCHIVED])
@pytest.mark.parametrize("transition", ["resolve", "archive", "unarchive"])
def test_only_the_legal_transitions_are_possible(transition: str, state: int) -> None:
    move = getattr(exception_state, transition)
    if (transition, state) in LEGAL:
        assert move(state) == LEGAL[transition, state]
    else:
        with pytest.raises(IllegalTransition, match=f"only an exception .* can be {transition}d"):
            move(state)
