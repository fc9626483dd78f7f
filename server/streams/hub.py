"""The hub: the one thread of a process that reads what is new, for all streams at once.

What a log is, is said in `log`; what one stream does, in `reader`.
"""

import threading
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from time import monotonic
from typing import Any

import structlog

from server.domain.errors import DatabaseUnavailable, ServerStopping
from server.store.connection import Database
from server.store.listener import Listener
from server.store.store import Store
from server.store.topics import EVERYTHING
from server.streams.delivery import Delivery
from server.streams.log import Log, Matches, P, Page
from server.streams.metrics import LAG, STREAMS
from server.streams.reader import Patience, Reader

_log = structlog.get_logger()

_READERS = 4
"""How many streams read from the database at once."""

_POLL_SECONDS = 1.0
_STALE_SECONDS = 5.0
_CLOSING_SECONDS = 2.0

Logs = dict[Log[Any], float]
"""Logs, and when each is to be looked at, on the clock of `time.monotonic()`."""


class Hub:
    """Follows the logs that have readers, from its making to `close`.

    A wake-up that is heard makes it look at once; whatever was not heard, a poll finds.
    """

    def __init__(self, store: Store, url: str, patience: Patience) -> None:
        self.store = store
        self._patience = patience
        # Apart from the calls' connections, so that neither waits for the other.
        self.database = Database(url, connections=_READERS + 1)
        self._reading = threading.BoundedSemaphore(_READERS)
        self._lock = threading.Lock()
        self._logs: dict[str, Log[Any]] = {}
        self._by_topic: dict[str, Log[Any]] = {}
        self._deliveries: set[Delivery] = set()
        self._heard: set[str] = {EVERYTHING}
        self._signal = threading.Event()
        self._closing = False
        self._found = monotonic()
        self._is_failing = False
        self._listener = Listener(url, self._hear)
        self._thread = threading.Thread(target=self._run, name="hub", daemon=True)
        self._thread.start()

    @property
    def is_fresh(self) -> bool:
        """Whether it has found the database lately: its streams then are up to date."""
        return monotonic() - self._found < _STALE_SECONDS

    def end_streams(self) -> None:
        """Every stream ends with ServerStopping, and no new one begins. Doesn't wait for that."""
        self._closing = True
        for log in self._followed():
            log.wake()
        self._signal.set()

    def close(self) -> None:
        """Ends the streams, and itself."""
        self.end_streams()
        self._listener.close()
        self._thread.join(_CLOSING_SECONDS)
        self.database.close()

    def check(self) -> None:
        """Raises ServerStopping if it is being closed."""
        if self._closing:
            raise ServerStopping

    @contextmanager
    def reader(self, log: Log[P], matches: Matches, hang_up: Any) -> Iterator[Reader[P]]:
        """A new reader of the log, which is shared with all others that read it."""
        with self._lock:
            shared = self._logs.setdefault(log.name, log)
            self._by_topic[shared.topic] = shared
            reader = Reader(shared, self, matches, hang_up, self._patience)
            shared.followers.add(reader)
        STREAMS.inc()
        try:
            yield reader
        finally:
            STREAMS.dec()
            self._leave(reader)

    @contextmanager
    def delivery(self, hang_up: Callable[[], object]) -> Iterator[Delivery]:
        """For a stream that follows nothing: it is cut off like the readers."""
        delivery = Delivery(hang_up, self._patience.slow)
        self._deliveries.add(delivery)
        try:
            yield delivery
        finally:
            self._deliveries.discard(delivery)

    def read(self, log: Log[P], position: P | None, since: P | None) -> Page[P] | None:
        """For readers: a page, or None after waiting long for other readers."""
        if not self._reading.acquire(timeout=_POLL_SECONDS):
            return None
        try:
            return log.read(self.database, position, since)
        finally:
            self._reading.release()

    def join(self, log: Log[P], page: Page[P]) -> None:
        """For readers: follows the log behind its last page, unless that is done already."""
        if log.join(page):
            self._hear([log.topic])  # something may have been appended since the page was read

    def _leave(self, reader: Reader[Any]) -> None:
        log = reader.log
        with self._lock:
            log.followers.discard(reader)
            if not log.followers:
                del self._logs[log.name]
                if self._by_topic.get(log.topic) is log:
                    del self._by_topic[log.topic]

    def _hear(self, topics: Collection[str]) -> None:
        with self._lock:
            self._heard.update(topics)
        self._signal.set()

    def _followed(self) -> list[Log[Any]]:
        with self._lock:
            return list(self._logs.values())

    def _run(self) -> None:
        due: Logs = {}
        next_poll = monotonic()
        while not self._closing:
            self._signal.wait(max(0, min([next_poll, *due.values()]) - monotonic()))
            self._signal.clear()
            now = monotonic()
            if now >= next_poll:
                self._hear([EVERYTHING])
                self._tick(now)
                next_poll = now + _POLL_SECONDS
            self._is_failing = False
            due = self._advance(due | dict.fromkeys(self._woken(), now), now)
            if not self._is_failing:
                self._found = monotonic()

    def _woken(self) -> list[Log[Any]]:
        with self._lock:
            heard, self._heard = self._heard, set()
            if EVERYTHING in heard:
                return list(self._logs.values())
            return [self._by_topic[topic] for topic in heard if topic in self._by_topic]

    def _advance(self, due: Logs, now: float) -> Logs:
        """Reads what is due; what is due later, or again."""
        later = {log: at for log, at in due.items() if at > now}
        kinds: dict[type[Log[Any]], list[Log[Any]]] = defaultdict(list)
        for log in due:
            if log not in later and log.tail is not None and log.followers:
                kinds[type(log)].append(log)
        for kind, logs in kinds.items():
            later |= {log: now + seconds for log, seconds in self._advance_kind(kind, logs).items()}
        return later

    def _advance_kind(self, kind: type[Log[Any]], logs: list[Log[Any]]) -> Logs:
        """The logs to be looked at again, in how many seconds."""
        try:
            again = kind.advance(self.database, logs)
        except DatabaseUnavailable:
            self._is_failing = True
            return dict.fromkeys(logs, _POLL_SECONDS)
        except Exception:  # noqa: BLE001 - the other logs must go on
            return self._advance_apart(kind, logs)
        return again

    def _advance_apart(self, kind: type[Log[Any]], logs: list[Log[Any]]) -> Logs:
        """One by one, since it can't be done at once: it may be a single one that is bad."""
        if len(logs) > 1:
            again = [self._advance_kind(kind, [log]) for log in logs]
            return {log: seconds for each in again for log, seconds in each.items()}
        _log.exception("following failed", log=logs[0].name)
        self._is_failing = True
        logs[0].detach()
        return {}

    def _tick(self, now: float) -> None:
        lag = now - self._found if self._is_failing else 0.0
        for log in self._followed():
            log.age()
            lag = max(lag, log.lag)
            for reader in tuple(log.followers):
                reader.cut_off(now)
        for delivery in tuple(self._deliveries):
            delivery.cut_off(now)
        LAG.set(lag)
