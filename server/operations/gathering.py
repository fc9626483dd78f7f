"""Group commit: what is asked for while the same is being done is then done together.

A statement for many costs the database little more than one for each of them. What is done, and
how, is not known here.
"""

import threading
import time
from collections import defaultdict, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

import structlog

from server.domain.call import remaining_seconds, until
from server.domain.errors import DatabaseUnavailable, DeadlinePassed, KintsugiError
from server.store.errors import Duplicate, Undone

T = TypeVar("T")
R = TypeVar("R")

_log = structlog.get_logger()

_PATIENCE_SECONDS = 0.02
"""What takes longer waits for a lock of somebody else's, which is none of the others' business."""

_MOST = 32
"""How many things are done together."""

_MOST_BYTES = 256 * 1024
"""How large they are; one that is larger is done alone."""


@dataclass(eq=False)
class _Asked(Generic[T, R]):
    """One thing that is asked for, by a thread that waits until its `turn` comes.

    Then it is done, with a `result` or an `error`; or it is to be done with the whole `group`, of
    which it is the first; or, with none of these, alone. A group is given up at the last `deadline`
    in it: then nobody has the time left to do again what may be done.
    """

    item: T
    size: int
    deadline: float
    begun: float = 0.0
    turn: threading.Event = field(default_factory=threading.Event)
    group: "list[_Asked[T, R]] | None" = None
    result: R | None = None
    error: DatabaseUnavailable | None = None


@dataclass
class _Line(Generic[T, R]):
    """Those who wait for what is `running`, by when it began: nearly always one group, or none."""

    running: list[float] = field(default_factory=list)
    waiting: deque[_Asked[T, R]] = field(default_factory=deque)


class Gathering(Generic[T, R]):
    """Does one thing by `alone`, several by `together`, which leaves out some: their result is None
    and they are done alone. Nothing of what failed together may have been done.

    Who comes while nothing is being done, or only what is stuck, never waits.
    """

    def __init__(
        self, alone: Callable[[T], R], together: Callable[[Sequence[T]], Sequence[R | None]]
    ) -> None:
        self._alone = alone
        self._together = together
        self._lock = threading.Lock()
        self._lines: defaultdict[str, _Line[T, R]] = defaultdict(_Line)

    def do(self, key: str, item: T, size: int) -> R:
        """Only what has the same key is done together; `size` is about its bytes.

        Raises what doing it alone raises, DatabaseUnavailable and DeadlinePassed among them.
        """
        mine: _Asked[T, R] = _Asked(item, size, time.monotonic() + remaining_seconds())
        line = self._join(key, mine)
        if mine.group is None:
            self._wait(line, mine)
        if mine.group is not None:
            self._lead(key, mine.group)
        if mine.error is not None:
            raise DatabaseUnavailable from mine.error
        return self._alone(item) if mine.result is None else mine.result

    def _join(self, key: str, mine: _Asked[T, R]) -> _Line[T, R]:
        with self._lock:
            line = self._lines[key]
            line.waiting.append(mine)
            stuck = time.monotonic() - _PATIENCE_SECONDS
            if all(begun < stuck for begun in line.running):
                self._begin(line)
        return line

    def _wait(self, line: _Line[T, R], mine: _Asked[T, R]) -> None:
        if mine.turn.wait(_PATIENCE_SECONDS):
            return
        with self._lock:
            while mine in line.waiting:
                self._begin(line)
        if mine.group is None and not mine.turn.wait(max(0, remaining_seconds())):
            raise DeadlinePassed

    def _lead(self, key: str, group: list[_Asked[T, R]]) -> None:
        try:
            if len(group) > 1:
                self._do(group)
            else:
                group[0].result = self._alone(group[0].item)
        finally:
            self._end(key, group[0].begun)
            for each in group[1:]:
                each.turn.set()

    def _do(self, group: list[_Asked[T, R]]) -> None:
        try:
            with until(max(each.deadline for each in group)):
                results = self._together([each.item for each in group])
        except DatabaseUnavailable as error:
            if not isinstance(error, Undone):  # it may be done: nobody knows
                for each in group:
                    each.error = error
        except (KintsugiError, Duplicate):
            pass  # one of them is why: each learns by itself
        except Exception:  # noqa: BLE001 - the others can't help it
            _log.exception("could not be done together", number=len(group))
        else:
            for each, result in zip(group, results, strict=True):
                each.result = result

    def _end(self, key: str, begun: float) -> None:
        with self._lock:
            line = self._lines[key]
            line.running.remove(begun)
            if line.waiting:
                self._begin(line)
            elif not line.running:
                del self._lines[key]

    def _begin(self, line: _Line[T, R]) -> None:
        """Has the first who waits do it for those behind, too."""
        group: list[_Asked[T, R]] = []
        size = 0
        while line.waiting and len(group) < _MOST:
            size += line.waiting[0].size
            if group and size > _MOST_BYTES:
                break
            group.append(line.waiting.popleft())
        first = group[0]
        first.group, first.begun = group, time.monotonic()
        line.running.append(first.begun)
        first.turn.set()
