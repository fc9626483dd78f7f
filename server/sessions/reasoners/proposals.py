"""Which actions follow from what was chosen.

How one becomes an action, and what it may do, is decided elsewhere.
"""

from collections.abc import Mapping

from server.domain.action_types import MANUAL_REVIEW, RETRY_RUN, is_waited_for
from server.operations.proposals import Proposed
from server.sessions.reasoners.choice import Candidate, title
from server.sessions.reasoners.findings import Guide, Past

_LONGEST = 4_000
"""Bytes of a description; it has at most 4 KiB."""

_AS_BEFORE = "The exception can be resolved, as it was before"


def proposed(candidate: Candidate | None, extra: Mapping[str, str], target: str) -> list[Proposed]:
    """What a person is asked to approve, or to do.

    The action that the guide entry names, or else a review by a person, who is told what helped
    before; and to run the job again, where somebody waits for that.
    """
    is_waiting = is_waited_for(extra)
    first = _first(candidate, target, is_waiting=is_waiting)
    if not is_waiting or first.action_type == RETRY_RUN:
        return [first]
    return [first, _again(target)]


def _first(candidate: Candidate | None, target: str, *, is_waiting: bool) -> Proposed:
    if candidate is None:
        return Proposed(MANUAL_REVIEW, target_entities=_entities(target))
    if isinstance(candidate, Past):
        return _by_hand(candidate.note, target)
    # Nobody would run the job again where nobody waits.
    is_possible = candidate.action_type != RETRY_RUN or is_waiting
    if candidate.action_type and is_possible:
        return _declared(candidate, target)
    return _by_hand(candidate.steps or title(candidate), target, candidate.name)


def _by_hand(what: str, target: str, guide_entry: str = "") -> Proposed:
    return Proposed(
        MANUAL_REVIEW,
        description=_cut(what),
        expected_outcome=_AS_BEFORE,
        target_entities=_entities(target),
        guide_entry=guide_entry,
    )


def _declared(guide: Guide, target: str) -> Proposed:
    """Its type, or the connector that carries it out, says what it does."""
    return Proposed(
        guide.action_type,
        parameters=guide.parameters,
        target_entities=_entities(target),
        risk=guide.risk,  # type: ignore[arg-type]  # as it is stored
        guide_entry=guide.name,
        is_standing=guide.is_standing,
        connector=guide.connector,
        connector_revision=guide.connector_revision,
    )


def _again(target: str) -> Proposed:
    return Proposed(
        RETRY_RUN,
        description="Run the job again, after the cause is repaired",
        target_entities=_entities(target),
    )


def _entities(target: str) -> list[str]:
    return [target] if target else []


def _cut(text: str) -> str:
    return text.encode()[:_LONGEST].decode(errors="ignore")
