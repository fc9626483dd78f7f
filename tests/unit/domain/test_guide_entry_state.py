"""The state machine of a guide entry, whole: every transition from every state, with versions."""

import pytest
from kintsugi.v1 import guide_entry_pb2 as pb

from server.domain import guide_entry_state
from server.domain.errors import IllegalTransition
from server.domain.guide_entry_state import DRAFT, NONE, Standing, Version

PENDING = pb.GuideEntry.STATE_PENDING_APPROVAL
APPROVED = pb.GuideEntry.STATE_APPROVED
REJECTED = pb.GuideEntry.STATE_REJECTED
ARCHIVED = pb.GuideEntry.STATE_ARCHIVED
KEPT = pb.GuideEntry.STATE_UNSPECIFIED

LEGAL = {
    ("approve", PENDING): APPROVED,
    ("reject", PENDING): REJECTED,
    ("revise", PENDING): PENDING,
    ("revise", APPROVED): PENDING,
    ("revise", REJECTED): PENDING,
    ("delete", PENDING): ARCHIVED,
    ("delete", APPROVED): ARCHIVED,
    ("delete", REJECTED): ARCHIVED,
    ("undelete", ARCHIVED): KEPT,
}


@pytest.mark.parametrize("state", [PENDING, APPROVED, REJECTED, ARCHIVED])
@pytest.mark.parametrize("transition", ["approve", "reject", "revise", "delete", "undelete"])
def test_only_the_legal_transitions_are_possible(transition: str, state: int) -> None:
    move = getattr(guide_entry_state, transition)
    standing = Standing(state, Version(1, 1), Version(1, 0))
    if (transition, state) in LEGAL:
        assert move(standing).state == LEGAL[transition, state]
    else:
        with pytest.raises(IllegalTransition, match=r"ARCHIVED|only a guide entry"):
            move(standing)


@pytest.mark.parametrize(
    ("transition", "version", "approved", "then", "in_use"),
    [
        ("approve", "0.1", "", "1.0", "1.0"),
        ("approve", "0.7", "", "1.0", "1.0"),
        ("approve", "1.1", "1.0", "2.0", "2.0"),
        ("reject", "0.1", "", "0.1", ""),
        ("reject", "1.1", "1.0", "1.1", "1.0"),
        ("revise", "0.1", "", "0.2", ""),
        ("revise", "1.0", "1.0", "1.1", "1.0"),
        ("revise", "1.9", "1.0", "1.10", "1.0"),
        ("delete", "1.1", "1.0", "1.1", "1.0"),
    ],
)
def test_every_transition_leads_to_its_version(
    transition: str, version: str, approved: str, then: str, in_use: str
) -> None:
    standing = Standing(PENDING, Version.parse(version), Version.parse(approved))
    moved = getattr(guide_entry_state, transition)(standing)
    assert (str(moved.version), str(moved.approved)) == (then, in_use)


def test_an_entry_begins_pending_at_the_first_version_with_none_in_use() -> None:
    entry = pb.GuideEntry()
    DRAFT.put(entry)
    assert (entry.state, entry.version, entry.approved_version) == (PENDING, "0.1", "")
    assert Standing.of(entry) == DRAFT
    assert DRAFT.approved == NONE
