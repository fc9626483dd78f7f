"""A worker in a process of its own, with a reasoner and a clock as its test says.

What it does it notes in a file, so that what is done twice is seen; it goes on when it may.
"""

import datetime as dt
import json
import os
import time
from pathlib import Path
from typing import Any

from kintsugi.v1 import agent_session_pb2 as pb

from server import worker
from server.config import Settings
from server.sessions.reasoner import Answer, Conclusion, Proposed, Subject, Work

DIRECTORY = "TESTS_WORKER_DIRECTORY"
"""Holds `notes`, a line for each step done, and `hold` as long as the analysis is to wait."""

SKEW = "TESTS_WORKER_CLOCK_SKEW"
"""By how many seconds its clock is wrong."""

SETTINGS = "TESTS_WORKER_SETTINGS"
"""Its settings, as JSON."""

ACTION = "reprocess"


class Noting:
    """Does two steps, each of which it notes, and waits between them."""

    def __init__(self, directory: Path) -> None:
        self._notes = directory / "notes"
        self._hold = directory / "hold"

    def analyse(self, subject: Subject, work: Work) -> Conclusion:
        id = subject.session.name.rpartition("/")[2]
        work.tool("first", "First", "", lambda: self._note(f"first {id}"))
        while self._hold.exists():
            work.check()
            time.sleep(0.01)
        work.tool("second", "Second", "", lambda: self._note(f"second {id}"))
        analysis = pb.Analysis(summary="It broke.")
        return Conclusion(analysis, [Proposed(ACTION, {"batch": "b-7"}, "Process it again")])

    def answer(self, subject: Subject, question: str, work: Work) -> Answer:
        id = subject.session.name.rpartition("/")[2]
        work.tool("first", "First", question, lambda: self._note(f"first {id}"))
        while self._hold.exists():
            work.check()
            time.sleep(0.01)
        work.tool("second", "Second", question, lambda: self._note(f"second {id}"))
        return Answer(f"About: {question}")

    def _note(self, line: str) -> str:
        with self._notes.open("a") as notes:
            notes.write(f"{line}\n")
        return line


def _skew(seconds: float) -> None:
    """Has Python's wall clock say something else."""
    true_time, true_time_ns = time.time, time.time_ns

    class Skewed(dt.datetime):
        @classmethod
        def now(cls, tz: Any = None) -> Any:
            return cls.fromtimestamp(time.time(), tz)

    time.time = lambda: true_time() + seconds
    time.time_ns = lambda: true_time_ns() + int(seconds * 1e9)
    dt.datetime = Skewed  # type: ignore[misc]


def main() -> None:
    if skew := os.environ.get(SKEW):
        _skew(float(skew))
    reasoner = Noting(Path(os.environ[DIRECTORY]))
    worker.run(Settings(**json.loads(os.environ[SETTINGS])), lambda _: reasoner)
