"""The worker: takes sessions that are due, keeps its leases, and goes on with some at once.

What is done with a session is in `course.py`; who has which is in `store/leases.py`.
"""

import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Collection
from typing import NamedTuple

import structlog

from server.domain.errors import DatabaseUnavailable, DeadlinePassed
from server.operations.session_turn import Superseded
from server.sessions.task import Stopped, Task
from server.store import leases
from server.store.connection import Database
from server.store.leases import Lease, LeaseLost

_log = structlog.get_logger()

_POLL_SECONDS = 1.0
_BEATS = 6
"""How often a lease is renewed within its time, at most each 0.5 s apart: so soon a cancelled
session is noticed."""
_BEAT_SECONDS = 0.5
_PAUSE_SECONDS = 0.5
"""After something failed, the first time; it doubles with each attempt."""
_LAST_SECONDS = 1.5
"""In which what has to be cut off at the end is written down."""
_CLOSING = "the worker ends"


class Pace(NamedTuple):
    """How many sessions a worker has at once, and after how many seconds those of a dead one are
    another's."""

    at_once: int
    lease_seconds: float

    @property
    def poll_seconds(self) -> float:
        """How long it may take until a session that is due is seen."""
        return min(self.lease_seconds / _BEATS, _POLL_SECONDS)

    @property
    def held_seconds(self) -> float:
        """What a lease is renewed for: with the poll after it, it isn't longer than it may be."""
        return self.lease_seconds - self.poll_seconds

    @property
    def share(self) -> int:
        """The most of one workspace: some room is left for others, however long its take."""
        return max(1, self.at_once - self.at_once // 4)


class Grace(NamedTuple):
    """What sessions get at the end, in seconds, and those of which a request has left."""

    seconds: float
    sending_seconds: float


class Runtime:
    """Goes on with whatever is due, until it is closed."""

    def __init__(self, database: Database, follow: Callable[[Task], None], pace: Pace) -> None:
        """`database` is for its own use alone, so that leases are kept however busy others are."""
        self._database = database
        self._follow = follow
        self._pace = pace
        self._tasks: set[Task] = set()
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._closing = threading.Event()
        self._closed = threading.Event()
        self._threads = [
            threading.Thread(target=self._take, name="sessions", daemon=True),
            threading.Thread(target=self._beat, name="leases", daemon=True),
        ]
        for thread in self._threads:
            thread.start()

    def wake(self) -> None:
        """Has it look now: a session may be due."""
        self._wake.set()

    def close(self, grace: Grace, told: Callable[[int], None]) -> None:
        """Takes nothing more, has what can be interrupted let go of, waits for the rest a while;
        `told` how many requests that have left it waits for, if there are any.

        What then is still under way is taken over when its lease is over.
        """
        self._closing.set()
        self._wake.set()
        begun = time.monotonic()
        for task in self._running():
            task.close(_CLOSING)
        if sending := len(self._sending()):
            told(sending)
        self._wait(lambda: not self._running(), begun + grace.seconds)
        self._wait(lambda: not self._sending(), begun + grace.sending_seconds)
        for task in self._sending():
            task.end(_CLOSING)
        self._wait(lambda: not self._sending(), time.monotonic() + _LAST_SECONDS)
        self._closed.set()
        for thread in self._threads:
            thread.join(1)

    def _wait(self, condition: Callable[[], bool], deadline: float) -> None:
        while not condition() and time.monotonic() < deadline:
            time.sleep(0.01)

    def _sending(self) -> list[Task]:
        return [task for task in self._running() if task.is_sending]

    def _running(self) -> list[Task]:
        with self._lock:
            return list(self._tasks)

    def _take(self) -> None:
        while not self._closing.is_set():
            self._wake.clear()
            pause = self._pace.poll_seconds
            try:
                self._begin_all(self._taken())
            except (DatabaseUnavailable, DeadlinePassed):
                pause = _jittered(_POLL_SECONDS)
                self._closing.wait(pause)
            except Exception:  # noqa: BLE001 - nobody else would take any
                _log.exception("sessions can't be taken")
            self._wake.wait(pause)

    def _taken(self) -> list[Lease]:
        running = [task.lease for task in self._running()]
        free = self._pace.at_once - len(running)
        if not free:
            return []
        counts = Counter(lease.workspace for lease in running)
        return leases.take(self._database, self._pace.held_seconds, free, self._pace.share, counts)

    def _begin_all(self, taken: Collection[Lease]) -> None:
        for lease in taken:
            task = Task(lease)
            with self._lock:
                self._tasks.add(task)
            if self._closing.is_set():
                task.close(_CLOSING)
            try:
                self._begin(task)
            except RuntimeError:  # no more threads
                _log.exception("a session can't be begun", session=str(lease.name))
                self._discard(task)
                self._put_back(task, _jittered(_PAUSE_SECONDS), counts=False)

    def _begin(self, task: Task) -> None:
        threading.Thread(target=self._work, args=(task,), name="session", daemon=True).start()

    def _discard(self, task: Task) -> None:
        with self._lock:
            self._tasks.discard(task)

    def _work(self, task: Task) -> None:
        try:
            self._run(task)
        finally:
            self._discard(task)
            self._wake.set()

    def _run(self, task: Task) -> None:
        """Whatever happens, the session is let go of, or its lease runs out."""
        try:
            self._follow(task)
        except LeaseLost:
            pass
        except (Stopped, Superseded):
            self._put_back(task, 0, counts=False)
        except DatabaseUnavailable:
            self._put_back(task, _jittered(_PAUSE_SECONDS), counts=False)
        except Exception:  # noqa: BLE001 - it is tried again, and given up after a while
            _log.exception("a session failed", session=str(task.lease.name))
            self._put_back(task, _jittered(_PAUSE_SECONDS), counts=True)

    def _put_back(self, task: Task, seconds: float, *, counts: bool) -> None:
        try:
            leases.put_back(self._database, task.lease, seconds, counts=counts)
        except (DatabaseUnavailable, DeadlinePassed):
            """Its lease runs out."""

    def _beat(self) -> None:
        pause = min(self._pace.lease_seconds / _BEATS, _BEAT_SECONDS)
        while not self._closed.wait(pause):
            try:
                self._renew()
            except (DatabaseUnavailable, DeadlinePassed):
                continue
            except Exception:  # noqa: BLE001 - nobody else would renew them
                _log.exception("leases can't be renewed")

    def _renew(self) -> None:
        tasks = self._running()
        if not tasks:
            return
        states = leases.renew(
            self._database, self._pace.held_seconds, [task.lease for task in tasks]
        )
        for task in tasks:
            task.seen(states.get(task.lease.token))


def _jittered(seconds: float) -> float:
    return seconds * random.uniform(0.5, 1.5)  # noqa: S311
