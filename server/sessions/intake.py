"""Has exceptions read as soon as they are there, and those from before in the background.

What is made of them is said in `operations/intake.py`.
"""

import threading

import structlog

from server.domain.errors import DatabaseUnavailable, DeadlinePassed
from server.operations.intake import read_some
from server.store.store import Store

_POLL_SECONDS = 1.0
_REST_SECONDS = 0.02
"""After each batch, so that whatever else there is comes to its turn."""
_CLOSING_SECONDS = 2.0

_log = structlog.get_logger()


class Intake:
    """Reads exceptions in a thread of its own, until it is closed."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._wake = threading.Event()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="intake", daemon=True)
        self._thread.start()

    def wake(self) -> None:
        """Has it look now: there may be some."""
        self._wake.set()

    def close(self) -> None:
        self._closing.set()
        self._wake.set()
        self._thread.join(_CLOSING_SECONDS)

    def _run(self) -> None:
        while not self._closing.wait(_REST_SECONDS):
            self._wake.clear()
            if not self._read():
                self._wake.wait(_POLL_SECONDS)

    def _read(self) -> int:
        try:
            return read_some(self._store)
        except DatabaseUnavailable:
            return 0
        except DeadlinePassed:
            _log.warning("reading exceptions takes too long")
            return 0
        except Exception:  # noqa: BLE001 - nobody else would read them
            _log.exception("exceptions can't be read")
            return 0
