"""A session that this worker has, from taking it to letting it go, and why it may have to stop.

What is done with it is in `analysis.py` and `execution.py`.
"""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from server.domain.agent_session_state import FINAL
from server.store.leases import Lease


class Stopped(Exception):
    """The session isn't to be worked on any more; the message says why."""


class OutOfTime(Stopped):
    """It took longer than it may."""


class Task:
    """One session that is worked on.

    `stop` is set when a request that it sends has to be cut off, `unwanted` when none is to leave
    that hasn't left yet; `is_sending` while there may be
    one, whose end is worth being waited for.
    """

    def __init__(self, lease: Lease) -> None:
        self.lease = lease
        self.stop = threading.Event()
        self.unwanted = threading.Event()
        self.is_sending = False
        self._why = ""
        self._deadline = float("inf")

    def limit(self, seconds: float) -> None:
        """From now on it may take so long."""
        self._deadline = time.monotonic() + seconds

    def end(self, why: str) -> None:
        """Has it stop, whatever it does."""
        self.close(why)
        self.stop.set()

    def close(self, why: str) -> None:
        """Has it stop where it can be taken up again without harm."""
        self._why = self._why or why

    @contextmanager
    def sending(self) -> Iterator[None]:
        """Whoever closes it before has it not begun, after, has it ended. Raises Stopped."""
        self.is_sending = True
        try:
            self.check()
            yield
        finally:
            self.is_sending = False

    def seen(self, state: int | None) -> None:
        """Takes in how the session stands in the database; None if it is another worker's."""
        if state is None:
            self.end("another worker has it")
        elif state in FINAL:
            self.close("it was ended")
            self.unwanted.set()

    def check(self) -> None:
        """Raises Stopped if it has to stop."""
        if self._why:
            raise Stopped(self._why)
        if time.monotonic() > self._deadline:
            raise OutOfTime
