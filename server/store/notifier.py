"""Wakes the followers in all processes after a commit, by NOTIFY from a connection of its own.

Only a hint, which may be lost: a poll stands behind it. Who hears it is in `listener`.
"""

import threading
from contextlib import suppress

import psycopg

from server.store.connection import connect_apart
from server.store.topics import CHANNEL, EVERYTHING

_PAUSE_SECONDS = 0.01
_RETRY_SECONDS = 1.0
_MOST_BYTES = 7_900
"""PostgreSQL lets 8,000 through."""

_SEND = "SELECT pg_notify(%s, %s)"


class Notifier:
    """Collects what was committed and announces it about every 10 ms, in one message."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._topics: set[str] = set()
        self._lock = threading.Lock()
        self._signal = threading.Event()
        self._closing = threading.Event()
        self._connection: psycopg.Connection[tuple[object, ...]] | None = None
        self._thread = threading.Thread(target=self._run, name="notifier", daemon=True)
        self._thread.start()

    def announce(self, *topics: str) -> None:
        """Call it after the commit. Never waits, never fails."""
        with self._lock:
            self._topics.update(topics)
        self._signal.set()

    def close(self) -> None:
        """Announces what is left, and ends."""
        self._closing.set()
        self._signal.set()
        self._thread.join(2)

    def _run(self) -> None:
        while not self._closing.is_set():
            self._signal.wait()
            self._signal.clear()
            sent = self._sent(self._collected())
            self._closing.wait(_PAUSE_SECONDS if sent else _RETRY_SECONDS)
        self._sent(self._collected())
        self._disconnect()

    def _collected(self) -> str:
        with self._lock:
            topics, self._topics = self._topics, set()
        payload = " ".join(topics)
        return payload if len(payload) <= _MOST_BYTES else EVERYTHING

    def _sent(self, payload: str) -> bool:
        """Tries a second time, on a new connection: the old one may have died unnoticed."""
        if not payload:
            return True
        for _ in range(2):
            try:
                self._connected().execute(_SEND, (CHANNEL, payload))
            except psycopg.Error:
                self._disconnect()
            else:
                return True
        return False

    def _connected(self) -> psycopg.Connection[tuple[object, ...]]:
        if self._connection is None:
            self._connection = connect_apart(self._url)
            # What is only a hint needs no disk.
            self._connection.execute("SET synchronous_commit = off")
        return self._connection

    def _disconnect(self) -> None:
        if self._connection is not None:
            with suppress(psycopg.Error):
                self._connection.close()
            self._connection = None
