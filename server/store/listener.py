"""Hears what the notifiers of all processes announce, on a connection of its own.

While it isn't connected nothing is heard, so that after every connect everything counts as heard.
"""

import threading
from collections.abc import Callable, Collection

import psycopg
import structlog

from server.store.connection import connect_apart, is_told
from server.store.topics import CHANNEL, EVERYTHING

_log = structlog.get_logger()

_LONGEST_SECONDS = 0.1
"""What it waits at once, and so what closing it takes."""

_MOST_RETRY_SECONDS = 5.0
_CLOSING_SECONDS = 2.0
_CHECKED_AFTER = 50
"""Quiet waits after which the connection is tried out: some 5 seconds."""


class Listener:
    """Calls `heard` with topics, from a thread of its own, until it is closed."""

    def __init__(self, url: str, heard: Callable[[Collection[str]], None]) -> None:
        self._url = url
        self._heard = heard
        self._closing = threading.Event()
        self._retry_seconds = 0.1
        self._thread = threading.Thread(target=self._run, name="listener", daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._closing.set()
        self._thread.join(_CLOSING_SECONDS)

    def _run(self) -> None:
        while not self._closing.is_set():
            try:
                self._listen()
            except psycopg.Error as error:
                _log.warning("the listener lost its connection", error=str(error).strip())
                self._closing.wait(self._retry_seconds)
                self._retry_seconds = min(self._retry_seconds * 2, _MOST_RETRY_SECONDS)

    def _listen(self) -> None:
        with connect_apart(self._url) as connection:
            connection.execute(f"LISTEN {CHANNEL}")
            self._retry_seconds = 0.1
            self._heard([EVERYTHING])
            quiet = 0
            while not self._closing.is_set():
                quiet += 1
                if quiet == _CHECKED_AFTER:
                    connection.execute("SELECT 1")  # may hear something, too
                # psycopg's own waiting would cost a process that has nothing to do the most.
                elif not is_told(connection, _LONGEST_SECONDS):
                    continue
                quiet = 0
                for notification in connection.notifies(timeout=0, stop_after=1):
                    self._heard(notification.payload.split())
