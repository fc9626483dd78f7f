"""How sure something is to help, 0 to 1, by the rules of docs/reasoning.md.

What it is that helps is found elsewhere.
"""

SURE = 0.5
"""From here on something counts as known to help; below it only as worth reading."""

_HALF = 0.13
"""The clearness at which a likeness of wording is worth SURE; tuned on bench/ranking.toml."""

_OTHER = 0.1
"""What the best of the others counts at least: where there is only one, it is the nearest to
anything."""

_MOST_BY_WORDING = 0.85
_SAME_FAILURE = 0.9
_SAME_FAILURE_ELSEWHERE = 0.7
_PRIOR = 3
"""For how many tries the first guess counts."""

_MOST = 0.99


def by_wording(similarity: float, best_other: float) -> float:
    """Of a guide that reads alike, and of how alike the best of the others is."""
    clearness = similarity - max(best_other, _OTHER) / 2
    return min(clearness / (clearness + _HALF), _MOST_BY_WORDING) if clearness > 0 else 0.0


def by_fingerprint(*, is_own: bool) -> float:
    """Of a guide that was learned from the same failure, of the same automation or another."""
    return _SAME_FAILURE if is_own else _SAME_FAILURE_ELSEWHERE


def by_likeness(similarity: float) -> float:
    """Of what helped against a failure whose message is alike, but not the same."""
    return similarity * _SAME_FAILURE_ELSEWHERE


def after_tries(guess: float, worked: int, failed: int) -> float:
    """A guess, and what came of trying the same against the same failure."""
    tries = _PRIOR + worked + failed
    return round(min((guess * _PRIOR + worked) / tries, _MOST), 3)
