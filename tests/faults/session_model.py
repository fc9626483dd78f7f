"""What may happen to sessions and their actions, as a small model, and whether a history fits it.

The model is written down here in the tests' own words; the service has its own.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

import psycopg

SESSION = {
    "": {"STARTED"},
    "STARTED": {"ANALYZING", "FAILED", "CANCELLED", "EXPIRED"},
    "ANALYZING": {"AWAITING_CONFIRMATION", "EXECUTING", "COMPLETED", "FAILED", "CANCELLED"},
    "AWAITING_CONFIRMATION": {"EXECUTING", "COMPLETED", "FAILED", "CANCELLED", "EXPIRED"},
    "EXECUTING": {"AWAITING_CONFIRMATION", "COMPLETED", "FAILED", "CANCELLED"},
}
ACTION = {
    "": {"PROPOSED"},
    "PROPOSED": {"APPROVED", "REJECTED", "EXPIRED", "CANCELLED"},
    "APPROVED": {"EXECUTING", "EXPIRED", "CANCELLED"},
    "EXECUTING": {"SUCCEEDED", "FAILED", "UNKNOWN"},
}
_SESSION_NAMES = (
    *("", "STARTED", "ANALYZING", "AWAITING_CONFIRMATION", "EXECUTING"),
    *("COMPLETED", "FAILED", "CANCELLED", "EXPIRED"),
)
_ACTION_NAMES = (
    *("", "PROPOSED", "APPROVED", "EXECUTING", "SUCCEEDED", "FAILED", "UNKNOWN"),
    *("REJECTED", "EXPIRED", "CANCELLED"),
)

_CHANGES = """
SELECT resource, (after ->> 'state')::int FROM changes
WHERE resource ~ '/agentSessions/[^/]+(/actions/[^/]+)?$' ORDER BY id
"""

History = Mapping[str, Sequence[str]]
"""The states that each was in, by name, in order, each once in a row."""


def histories(database: str) -> tuple[History, History]:
    """Of the sessions, and of the actions; changes of one have their order by its lock."""
    sessions: dict[str, list[str]] = defaultdict(list)
    actions: dict[str, list[str]] = defaultdict(list)
    with psycopg.connect(database) as connection:
        for resource, number in connection.execute(_CHANGES).fetchall():
            is_action = "/actions/" in resource
            states = (actions if is_action else sessions)[resource]
            state = (_ACTION_NAMES if is_action else _SESSION_NAMES)[number]
            if states[-1:] != [state]:
                states.append(state)
    return sessions, actions


def misfits(history: History, model: Mapping[str, set[str]]) -> Iterator[str]:
    """What the model doesn't have."""
    for name, states in history.items():
        for before, after in zip(["", *states], states, strict=False):
            if after not in model.get(before, set()):
                yield f"{name}: {before or 'nothing'} → {after} in {states}"
