"""How long one attempt may take, and whether somebody has cancelled it meanwhile.

All that waits on the network waits here, in slices.
"""

import select
import socket
import threading
import time
from math import ceil

_SLICE = 0.1
"""In seconds: how soon a cancelled attempt ends."""


class RanOut(Exception):
    """The attempt may take no longer; the message says why."""


class Patience:
    """Until when an attempt may go on."""

    def __init__(self, seconds: float, *cancelled: threading.Event) -> None:
        """Any of the events cancels it."""
        self._seconds = seconds
        self._end = time.monotonic() + seconds
        self._cancelled = cancelled

    def check(self) -> float:
        """What is left, at most a slice of it, in seconds. Raises RanOut."""
        if any(each.is_set() for each in self._cancelled):
            raise RanOut("it was cancelled")
        left = self._end - time.monotonic()
        if left <= 0:
            raise RanOut(f"no answer came within {_tenths(self._seconds):g} s")
        return min(left, _SLICE)

    def part(self, count: int) -> "Patience":
        """For one of so many attempts that are left: each gets as long as the others."""
        return Patience((self._end - time.monotonic()) / count, *self._cancelled)

    def but_for(self, cancelled: threading.Event) -> "Patience":
        """The same, which this event cancels too."""
        return Patience(self._end - time.monotonic(), *self._cancelled, cancelled)

    def wait(self, sock: socket.socket, *, to_write: bool) -> None:
        """Until the socket can be read or written. Raises RanOut."""
        poll = select.poll()
        poll.register(sock, select.POLLOUT if to_write else select.POLLIN)
        while not poll.poll(self.check() * 1000):
            pass

    def join(self, thread: threading.Thread) -> None:
        """Until the thread has ended. Raises RanOut."""
        while thread.is_alive():
            thread.join(self.check())


def _tenths(seconds: float) -> float:
    """As it was set: a little of that has passed before an attempt begins."""
    return ceil(round(seconds * 10, 3)) / 10
