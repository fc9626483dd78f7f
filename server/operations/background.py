"""What a server process does by itself, again and again, whatever it is asked meanwhile.

What is done is said in the modules of the operations.
"""

import threading
from collections.abc import Callable

import structlog

from server.domain.errors import DatabaseUnavailable

_CLOSING_SECONDS = 2

_log = structlog.get_logger()


class Repetition:
    """Does something every so many seconds in a thread of its own, until it is closed.

    The first time it does so after `first` seconds, where these are given.
    """

    def __init__(
        self, name: str, work: Callable[[], object], seconds: float, first: float | None = None
    ) -> None:
        self._work = work
        self._seconds = seconds
        self._first = seconds if first is None else first
        self._is_failing = False
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._closing.set()
        self._thread.join(_CLOSING_SECONDS)

    def _run(self) -> None:
        seconds = self._first
        while not self._closing.wait(seconds):
            seconds = self._seconds
            try:
                self._work()
                self._is_failing = False
            except DatabaseUnavailable as error:
                self._warn(error)
            except Exception:  # noqa: BLE001 - nobody else would try again
                _log.exception("failed in the background", name=self._thread.name)

    def _warn(self, error: DatabaseUnavailable) -> None:
        """Once, until it succeeds again: a database that is away stays so for long."""
        if not self._is_failing:
            cause = type(error.__cause__).__name__
            _log.warning("failing in the background", name=self._thread.name, cause=cause)
        self._is_failing = True
