"""The groups of exceptions: the same three in every workspace, with what is said about them.

Who is assigned by default is a workspace's own, and stored.
"""

from typing import NamedTuple


class GroupText(NamedTuple):
    """What people read about a group."""

    title: str
    description: str
    suggested_action: str


GROUP_TEXTS = {
    "missing_values": GroupText(
        "Missing values",
        "The run lacked a value: a field was empty, a file or a row wasn't there.",
        "Find out where the value should have come from, supply it, and let the run go on.",
    ),
    "user_system_error": GroupText(
        "Error of a connected system",
        "A system that the run works with refused, wasn't reachable, or answered nonsense.",
        "See whether that system works and lets the automation in, then run it again.",
    ),
    "internal_error": GroupText(
        "Internal error",
        "The automation itself is at fault, or what it runs on.",
        "Correct the automation; until then, do by hand what the run left undone.",
    ),
}

GROUPS = tuple(GROUP_TEXTS)
