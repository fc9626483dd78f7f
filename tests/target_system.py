"""A target system of connectors that keeps which action asked it for what, and under which key.

How it behaves is the first part of the path: `ok` does it, `fail` says 500, `slow` takes a while,
`hang` answers long after everybody has given up.
"""

import json
import random
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from tests.targets import Answered, Heard, serving

HANG_SECONDS = 20


class Asked(NamedTuple):
    """One request: the action that it says it is of, its key and its path."""

    action: str
    key: str
    path: str


class TargetSystem:
    """What it was asked so far."""

    def __init__(self) -> None:
        self.asked: list[Asked] = []
        self.address = ""

    def of(self, action: str) -> list[Asked]:
        return [each for each in list(self.asked) if each.action == action]

    def answer(self, heard: Heard) -> Answered:
        action = json.loads(heard.body)["action"]
        self.asked.append(Asked(action, heard.headers.get("idempotency-key", ""), heard.path))
        manner = heard.path.split("/")[1]
        time.sleep(_seconds(manner))
        return Answered(500 if manner == "fail" else 200, {"did": action})


@contextmanager
def target_system() -> Iterator[TargetSystem]:
    """Serves on a free port of loopback."""
    system = TargetSystem()
    with serving(system.answer) as target:
        system.address = f"127.0.0.1:{target.port}"
        yield system


def _seconds(manner: str) -> float:
    return {"slow": random.uniform(0, 0.5), "hang": HANG_SECONDS}.get(manner, 0.0)
