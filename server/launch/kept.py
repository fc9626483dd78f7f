"""A child that is started again when it dies: soon, and later and later if it keeps dying.

Whether it works while it lives is not looked at here.
"""

import time
from collections.abc import Callable

from server.launch.child import Child

_FIRST_DELAY = 0.1
_LONGEST_DELAY = 10.0
_STABLE_SECONDS = 30.0


class Kept:
    """`died` is told the process number of each one that died."""

    def __init__(self, child: Child, died: Callable[[int], None] | None = None) -> None:
        self.child = child
        self.restarts = 0
        self._died = died
        self._delay = _FIRST_DELAY
        self._started = time.monotonic()
        self._due: float | None = None

    @property
    def name(self) -> str:
        return self.child.name

    @property
    def pid(self) -> int | None:
        return self.child.pid

    @property
    def alive(self) -> bool:
        return self.child.alive

    def tend(self) -> str | None:
        """Looks after it once; gives what happened, for people, if something did."""
        if self.child.alive:
            return None
        now = time.monotonic()
        if self._due is None:
            return self._bury(now)
        if now >= self._due:
            return self._restart(now)
        return None

    def _bury(self, now: float) -> str:
        if self._died and self.child.pid:
            self._died(self.child.pid)
        stable = now - self._started > _STABLE_SECONDS
        self._delay = _FIRST_DELAY if stable else min(self._delay * 2, _LONGEST_DELAY)
        self._due = now + self._delay
        return f"{self.name} {self.child.end()} and is started again (log: {self.child.log})"

    def _restart(self, now: float) -> str | None:
        try:
            self.child.start()
        except OSError as error:
            self._due = now + _LONGEST_DELAY
            return f"{self.name} can't be started: {error}"
        self.restarts += 1
        self._started, self._due = now, None
        return None
