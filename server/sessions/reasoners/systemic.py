"""When a failure is systemic, and how its pattern is told, by the rules of docs/reasoning.md.

How often it was seen is counted elsewhere.
"""

from server.sessions.reasoners.findings import Pattern
from server.store.knowledge import BUSIEST, COUNTED, DAYS

_OFTEN = 10
"""So many in all are a pattern, however they are spread."""

_SUDDENLY = 3
"""So many within an hour are one, if they are that many times what is usual then."""

_ELSEWHERE = 2
"""In so many automations."""

_NAMED = 5
"""How many automations are told by name."""


def is_systemic(pattern: Pattern, occurrences: int) -> bool:
    """`occurrences` are those of the exception itself."""
    in_all = pattern.others + occurrences
    return in_all >= _OFTEN or len(pattern.automations) >= _ELSEWHERE or _is_sudden(pattern)


def told(pattern: Pattern, occurrences: int) -> str:
    """`raised 14 times since 2026-03-02, in billing and ordering`"""
    in_all = pattern.others + occurrences
    number = f"more than {COUNTED}" if pattern.others >= COUNTED else str(in_all)
    since = f" since {pattern.since}" if pattern.since else ""
    text = f"raised {number} times{since}{_where(pattern)}"
    if not _is_sudden(pattern):
        return text
    within = f"at least {BUSIEST}" if pattern.last_hour + 1 >= BUSIEST else pattern.last_hour + 1
    return (
        f"{text}; {within} of them within an hour, where {pattern.usual:g} are usual"
        f" at that time of day (of the {DAYS} days before)"
    )


def _is_sudden(pattern: Pattern) -> bool:
    within = pattern.last_hour + 1
    return within >= _SUDDENLY and within >= _SUDDENLY * pattern.usual


def _where(pattern: Pattern) -> str:
    named = list(pattern.automations[:_NAMED])
    if not named:
        return ""
    if len(pattern.automations) > _NAMED:
        named.append("others")
    *first, last = named
    return f", in {', '.join(first)} and {last}" if first else f", in {last}"
