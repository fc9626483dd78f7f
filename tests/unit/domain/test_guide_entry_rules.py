"""What a guide entry may say about an action, and what a resolved exception drafts."""

from typing import Any

import pytest
from kintsugi.v1 import action_pb2, exception_pb2
from kintsugi.v1 import guide_entry_pb2 as pb

from server.domain.guide_entry_rules import draft, violations
from server.domain.names import AutomationName

AUTOMATION = AutomationName("local", "default", "billing")
SOURCE = f"{AUTOMATION.parent}/exceptions/0193"


@pytest.mark.parametrize(
    ("fields", "wrong"),
    [
        ({}, []),
        ({"action_type": "retry_run"}, []),
        ({"action_type": "a" * 63}, []),
        ({"action_type": "a" * 64}, ["action_type"]),
        ({"action_type": "Retry_run"}, ["action_type"]),
        ({"action_type": "retry run"}, ["action_type"]),
        ({"action_type": "_retry"}, ["action_type"]),
        ({"action_type": "retry\n"}, ["action_type"]),
        ({"action_type": "manual_review"}, []),
        ({"self_resolving": True}, ["self_resolving"] * 2),
        ({"self_resolving": True, "action_type": "retry_run"}, ["self_resolving"]),
        ({"self_resolving": True, "source_exception": SOURCE}, ["self_resolving"]),
        (
            {"self_resolving": True, "source_exception": SOURCE, "action_type": "contact_support"},
            ["self_resolving"],
        ),
        ({"self_resolving": True, "source_exception": SOURCE, "action_type": "retry_run"}, []),
    ],
)
def test_what_is_wrong_with_an_action_is_named(fields: dict[str, Any], wrong: list[str]) -> None:
    found = violations(AUTOMATION, pb.GuideEntry(**fields))
    assert [field for field, _ in found] == wrong


def test_a_draft_says_which_action_resolved_it() -> None:
    exception = exception_pb2.Exception(message="No total", resolution_note="Added it.")
    action = action_pb2.Action(action_type="reprocess", parameters={"batch": "b-7"})
    drafted = draft(exception, action)
    assert drafted is not None
    assert (drafted.action_type, drafted.resolution_steps) == ("reprocess", "Added it.")
    assert dict(drafted.action_parameters) == {"batch": "b-7"}
    assert not drafted.self_resolving
