"""How agents write events bit by bit: begin one, append to its text, complete it, or be stopped.

Stopping, and what becomes of an event whose writer died, is in `generation.py`.
"""

import threading
import time
from collections.abc import Sequence
from types import TracebackType
from typing import Self

import structlog
from kintsugi.v1 import event_pb2 as pb

from server.domain.call import remaining_seconds
from server.domain.errors import DatabaseUnavailable
from server.domain.growing_text import GrowingText
from server.domain.names import EventName, ThreadName
from server.resources.event import EVENT
from server.store import generations as sql
from server.store.events import local_name
from server.store.generations import Key, Piece
from server.store.store import Store
from server.store.topics import thread_topic

_log = structlog.get_logger()

_PAUSE_SECONDS = 0.05
"""Between two times of writing: a reader gets at most 20 pieces a second."""

_LOOK_SECONDS = 0.25
_GRACE_SECONDS = 0.5
"""What a writer gets to end by itself; with the time until it is noticed, less than a second."""

_HEARTBEAT_SECONDS = 10
_RETRY_SECONDS = 1
_CLOSING_SECONDS = 5


class Generation:
    """One event while its one writer writes it; `Generations.begin` makes it.

    `cancelled` is set soon after a CancelGeneration in any process, or if the event was made whole
    by somebody else. Then nothing more is appended, and the writer is to stop; half a second later
    the event is completed anyway. Used as a context manager, it is completed at the end, in case
    of an error with what there is.
    """

    def __init__(
        self, name: EventName, key: Key, topic: str, text: GrowingText, wake: threading.Event
    ) -> None:
        self.name = name
        self.key = key
        self.topic = topic
        self.text = text
        self._wake = wake
        self.details: bytes | None = None
        self.cancelled = threading.Event()
        self.is_ending = False
        self.is_whole = threading.Event()
        self._is_own = False
        self._beat = time.monotonic()
        self._last_moment = float("inf")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if error is None:
            self.complete()
        else:
            self.finish()

    def append(self, text: str) -> None:
        """Adds to the text; never waits. Ignored when it is cancelled or complete.

        Raises TextTooLong. What the database doesn't take for the time being stays in memory.
        """
        if not (self.cancelled.is_set() or self.is_ending):
            self.text.append(text)

    def complete(self, event: pb.Event | None = None) -> bool:
        """Makes the event whole, and waits for it; once is enough.

        `event` has its content anew, of the same kind, but for the text. False if somebody else
        made it whole, so that some text may be missing. Raises DatabaseUnavailable; it will be
        made whole nevertheless, as soon as that can be done.
        """
        self.finish(event)
        if not self.is_whole.wait(max(remaining_seconds(), 0)):
            raise DatabaseUnavailable
        return self._is_own

    def finish(self, event: pb.Event | None = None) -> None:
        """Like `complete`, but doesn't wait."""
        if event is not None and not self.is_ending:
            self.details = EVENT.write(event)["details"]
        self.is_ending = True
        self._wake.set()

    def is_due(self, now: float) -> bool:
        """Whether there is something to write, if only that the writer lives."""
        return not self.text.is_written or now - self._beat >= _HEARTBEAT_SECONDS

    def written(self, now: float) -> None:
        """What was taken of the text was written."""
        self._beat = now
        self.text.settle()

    def end(self, *, is_own: bool) -> None:
        """The event is whole, by this writer or by somebody else."""
        self._is_own = is_own
        self.is_ending = True
        self.is_whole.set()
        if not is_own:
            self.cancelled.set()

    def stop(self, now: float) -> None:
        if not self.cancelled.is_set():
            self._last_moment = now + _GRACE_SECONDS
            self.cancelled.set()

    def is_overdue(self, now: float) -> bool:
        return now >= self._last_moment and not self.is_ending


class Generations:
    """All that this process generates; make one a process.

    One thread writes for all of them, in one transaction about every 50 ms, as long as there are
    any. Each holds its text in memory, at most LONGEST_BYTES, until it is whole.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._open: dict[Key, Generation] = {}
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._wake = threading.Event()
        """Set where something is to be completed, which needn't wait for the next time."""
        self._next_look = self._next_flush = 0.0
        self._is_in_doubt = False
        """Whether the last transaction failed, perhaps only in telling that it was committed."""

    def begin(self, thread: ThreadName, event: pb.Event) -> Generation:
        """Appends an event in STATE_STREAMING, with the content and the text that it begins with.

        Raises NotFound for an unknown workspace, DatabaseUnavailable, TextTooLong.
        """
        columns = EVENT.write(event)
        text = GrowingText(columns["text"])
        workspace, thread_name = self._store.workspace_key(thread.parent), local_name(thread)
        given = {"workspace": workspace, "thread_name": thread_name, "text": str(text)}
        [row] = self._store.database.all(sql.BEGIN, columns | given)
        key, topic = Key(*row), thread_topic(workspace, thread_name)
        self._store.notifier.announce(topic)
        generation = Generation(EventName(thread, str(key.event)), key, topic, text, self._wake)
        with self._lock:
            self._open[key] = generation
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="generation", daemon=True)
                self._thread.start()
        return generation

    def close(self) -> None:
        """Completes what is open with what there is; waits a few seconds for the database."""
        deadline = time.monotonic() + _CLOSING_SECONDS
        generations = self._all()
        for generation in generations:
            generation.finish()
        for generation in generations:
            generation.is_whole.wait(max(deadline - time.monotonic(), 0))

    def _all(self) -> list[Generation]:
        with self._lock:
            return list(self._open.values())

    def _run(self) -> None:
        while self._is_needed():
            pause = _PAUSE_SECONDS
            try:
                self._look()
                self._write()
            except DatabaseUnavailable:
                self._is_in_doubt, pause = True, _RETRY_SECONDS
            except Exception:  # noqa: BLE001 - nobody else would write the rest
                self._is_in_doubt, pause = True, _RETRY_SECONDS
                _log.exception("events can't be written")
            self._wake.wait(pause)
            self._wake.clear()

    def _is_needed(self) -> bool:
        with self._lock:
            for key in [key for key, each in self._open.items() if each.is_whole.is_set()]:
                del self._open[key]
            if not self._open:
                self._thread = None
            return self._thread is not None

    def _look(self) -> None:
        """Notices what was cancelled, and ends what doesn't by itself."""
        now = time.monotonic()
        generations = {each.key: each for each in self._all()}
        if now >= self._next_look:
            for key in sql.stopped(self._store.database, generations):
                generations[key].stop(now)
            self._next_look = now + _LOOK_SECONDS
        for generation in generations.values():
            if generation.is_overdue(now):
                generation.finish()

    def _write(self) -> None:
        now, all_open = time.monotonic(), self._all()
        ending = {each for each in all_open if each.is_ending}
        due: set[Generation] = set()
        if self._is_in_doubt:
            due = set(all_open)
        elif now >= self._next_flush:
            due = {each for each in all_open if each.is_due(now)}
            self._next_flush = now + _PAUSE_SECONDS
        if ending or due:
            self._write_together(list(due - ending), list(ending), now)

    def _write_together(
        self, growing: Sequence[Generation], ending: Sequence[Generation], now: float
    ) -> None:
        keys = [each.key for each in (*growing, *ending)]
        with self._store.database.transaction() as transaction:
            sql.lock(transaction, keys)
            # With the locks held, nothing of an earlier transaction is still under way.
            lengths = sql.lengths(transaction, keys) if self._is_in_doubt else {}
            for each in growing:
                if each.key in lengths:
                    each.text.rewind(lengths[each.key])
            alive = sql.add(transaction, [Piece(each.key, each.text.take()) for each in growing])
            completed = sql.complete(
                transaction, [Piece(each.key, str(each.text), each.details) for each in ending]
            )
        self._is_in_doubt = False
        for each in growing:
            if each.key in alive:
                each.written(now)
            else:
                each.end(is_own=False)
        for each in ending:
            is_there = lengths.get(each.key) == len(str(each.text))
            each.end(is_own=each.key in completed or is_there)
        self._store.notifier.announce(*{each.topic for each in (*growing, *ending)})
