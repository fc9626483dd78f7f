"""Which states of sessions and actions follow which: the tables, and nothing beside them."""

import re
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from kintsugi.v1.action_pb2 import Action
from kintsugi.v1.agent_session_pb2 import AgentSession

from server.domain import action_state, agent_session_state
from server.domain.errors import IllegalTransition

SESSION = {
    "STARTED": "ANALYZING FAILED CANCELLED EXPIRED",
    "ANALYZING": "AWAITING_CONFIRMATION EXECUTING COMPLETED FAILED CANCELLED",
    "AWAITING_CONFIRMATION": "EXECUTING COMPLETED FAILED CANCELLED EXPIRED",
    "EXECUTING": "AWAITING_CONFIRMATION COMPLETED FAILED CANCELLED",
    "ACTIVE": "ENDED",
    "COMPLETED": "",
    "FAILED": "",
    "CANCELLED": "",
    "EXPIRED": "",
    "ENDED": "",
}
ACTION = {
    "PROPOSED": "APPROVED REJECTED EXPIRED CANCELLED",
    "APPROVED": "EXECUTING EXPIRED CANCELLED",
    "EXECUTING": "SUCCEEDED FAILED UNKNOWN",
    "SUCCEEDED": "",
    "FAILED": "",
    "UNKNOWN": "",
    "REJECTED": "",
    "EXPIRED": "",
    "CANCELLED": "",
}
MACHINES = [
    (agent_session_state, AgentSession.State, SESSION),
    (action_state, Action.State, ACTION),
]


PROTOS = Path(__file__).parents[3] / "proto/kintsugi/v1"


@pytest.mark.parametrize(
    ("file", "table"), [("agent_session.proto", SESSION), ("action.proto", ACTION)]
)
def test_the_manual_tells_each_transition_once(file: str, table: dict[str, str]) -> None:
    told = re.findall(r"^  //     (\w+) ──> (.+)$", (PROTOS / file).read_text(), re.MULTILINE)
    following = [(name, states.replace(" | ", " ")) for name, states in told]
    assert following == [(name, states) for name, states in table.items() if states]


@pytest.mark.parametrize(("machine", "states", "table"), MACHINES)
def test_only_what_the_table_says_follows(
    machine: ModuleType, states: Any, table: dict[str, str]
) -> None:
    assert {f"STATE_{name}" for name in table} == {*states.keys()} - {"STATE_UNSPECIFIED"}
    for name, following in table.items():
        state = states.Value(f"STATE_{name}")
        for other in table:
            target = states.Value(f"STATE_{other}")
            if other in following.split():
                assert machine.move(state, target) == target
            else:
                with pytest.raises(IllegalTransition, match=f"is {name}"):
                    machine.move(state, target)


@pytest.mark.parametrize(("machine", "states", "table"), MACHINES)
def test_what_nothing_follows_is_final(
    machine: ModuleType, states: Any, table: dict[str, str]
) -> None:
    final = {states.Value(f"STATE_{name}") for name, following in table.items() if not following}
    assert final == machine.FINAL
    assert all(machine.label(state).endswith("which is final") for state in final)


def test_what_is_final_is_said_to_be_once() -> None:
    for machine in (agent_session_state, action_state):
        with pytest.raises(IllegalTransition) as error:
            machine.move(machine.CANCELLED, machine.CANCELLED)
        assert error.value.message.endswith("is CANCELLED, which is final")
        assert error.value.message.count("final") == 1
