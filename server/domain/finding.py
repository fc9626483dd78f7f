"""What an examination of a deployment finds: one line for each thing that was looked at.

What is looked at is said in `server/doctor.py`.
"""

from enum import StrEnum
from typing import NamedTuple


class Level(StrEnum):
    """Something WRONG has to be repaired; a WARNING may be as its operator wants it."""

    OK = "ok"
    WARNING = "warning"
    WRONG = "wrong"


class Finding(NamedTuple):
    """What was looked at, what was found, and, unless all is well, what to do about it."""

    what: str
    level: Level
    found: str
    advice: str = ""


def ok(what: str, found: str) -> Finding:
    return Finding(what, Level.OK, found)


def warning(what: str, found: str, advice: str) -> Finding:
    return Finding(what, Level.WARNING, found, advice)


def wrong(what: str, found: str, advice: str) -> Finding:
    return Finding(what, Level.WRONG, found, advice)
