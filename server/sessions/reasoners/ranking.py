"""Which guide entries and which past resolutions fit a message, best first, and how surely.

Where the candidates come from is said in `recall.py`.
"""

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache

from server.domain.failure_kinds import FailureKind, kind_of
from server.sessions.reasoners import confidence
from server.sessions.reasoners.findings import Guide, Past
from server.sessions.reasoners.similarity import similarities

_ELSEWHERE = 0.25
"""What the likeness of a guide of another automation counts for."""

_SAME_KIND = 0.03
"""What is added where a guide speaks of the kind of failure that the message is of."""

_KEPT = 2_048
"""Of how many guides and kinds it is known whether the one speaks of the other."""


def ranked(message: str, guides: Sequence[Guide]) -> list[Guide]:
    """The surest first, but what may resolve by itself before all; with both figures set."""
    texts = [_text(guide) for guide in guides]
    kind, alike = kind_of(message), similarities(message, texts)
    weighed = [
        _likeness(guide, text, value, kind)
        for guide, text, value in zip(guides, texts, alike, strict=True)
    ]
    best, second, *_ = *sorted(weighed, reverse=True), 0.0, 0.0
    judged = [
        _judged(guide, value, second if value == best else best)
        for guide, value in zip(guides, weighed, strict=True)
    ]
    return sorted(judged, key=_order, reverse=True)


def _likeness(guide: Guide, text: str, similarity: float, kind: FailureKind | None) -> float:
    is_spoken_of = kind is not None and _speaks_of(text, kind)
    likeness = similarity + (_SAME_KIND if is_spoken_of else 0)
    return likeness if guide.is_own else likeness * _ELSEWHERE


@lru_cache(_KEPT)
def _speaks_of(text: str, kind: FailureKind) -> bool:
    return kind.pattern.search(text.lower()) is not None


def _judged(guide: Guide, likeness: float, best_other: float) -> Guide:
    if guide.is_same:
        guess = confidence.by_fingerprint(is_own=guide.is_own)
    else:
        guess = confidence.by_wording(likeness, best_other)
    sure = confidence.after_tries(guess, guide.worked, guide.failed)
    return replace(guide, similarity=_similarity(guide, likeness), confidence=sure)


def _order(guide: Guide) -> tuple[bool, float, float]:
    stands = guide.is_standing and guide.confidence >= confidence.SURE
    return stands, guide.confidence, guide.similarity


def _text(guide: Guide) -> str:
    return f"{guide.title}\n{guide.root_cause}\n{guide.steps}"


def ranked_past(message: str, messages: Sequence[str], past: Sequence[Past]) -> list[Past]:
    """Those of the same failure first, as often as they helped; `messages` are those of `past`."""
    alike = similarities(message, messages)
    judged = [_judged_past(each, value) for each, value in zip(past, alike, strict=True)]
    return sorted(judged, key=lambda each: (each.is_same, each.confidence), reverse=True)


def _judged_past(past: Past, similarity: float) -> Past:
    if past.is_same:
        guess = confidence.by_fingerprint(is_own=True)
        sure = confidence.after_tries(guess, past.times, 0)
    else:
        sure = round(confidence.by_likeness(similarity), 3)
    return replace(past, similarity=_similarity(past, similarity), confidence=sure)


def _similarity(found: Guide | Past, likeness: float) -> float:
    """What is of the same failure can't be more alike, whatever its wording."""
    return 1.0 if found.is_same else round(likeness, 3)
