"""A log that is followed: its newest records in memory, and who reads it.

Where the records come from is said by the kinds of logs, `event_log` and `change_log`.
"""

import threading
from abc import ABC, abstractmethod
from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any, Generic, Protocol, Self, TypeVar

from google.rpc.status_pb2 import Status

from server.store.connection import Database
from server.streams import cursor
from server.streams.sent import Sent

_MAX_RECORDS = 512
_MAX_BYTES = 1_048_576
_BATCH = 32
_BATCH_BYTES = 131_072
"""What a reader takes at once: while it is stuck, that much, or one record, is kept for it."""

Matches = Callable[[Any], bool] | None
"""A filter as a function of a message; None lets everything through."""

_position = attrgetter("position")


class Position(Protocol):
    """Where a log is read up to; positions of one log are ordered."""

    def __lt__(self, other: Any, /) -> bool: ...
    def __le__(self, other: Any, /) -> bool: ...


P = TypeVar("P", bound=Position)


class Record(Protocol[P]):
    """Something that stands at a position of a log. `size` is about what it takes, in bytes.

    Where several stand at one position, they come together, and in a batch, a page or a tail are
    either all or none: whoever is at a position has got all of it.
    """

    position: P
    size: int

    def sent(self, matches: Matches) -> Sent | None:
        """What a reader with this filter is sent of it, if anything."""


@dataclass(frozen=True, slots=True)
class Batch(Generic[P]):
    """Records in their order, and the position up to which there are no others."""

    records: Sequence[Record[P]]
    end: P


@dataclass(frozen=True, slots=True)
class Page(Batch[P]):
    """A batch out of the database, from `start`; if it is the last one, nothing was behind it.

    `known` is what the kind of log has to know besides to go on from there.
    """

    start: P
    is_last: bool
    known: Any = None


class Tail(Generic[P]):
    """The newest records: all that are after `start`, up to `head`.

    Only the hub appends. Records are never taken away from a list: a new tail with fewer
    replaces this one, so that readers need no lock.
    """

    def __init__(self, start: P, head: P, records: list[Record[P]]) -> None:
        self.start, self.head, self.records = start, head, records
        self.size = sum(record.size for record in records)
        self.aged = len(records)

    def after(self, position: P) -> Batch[P]:
        head = self.head  # before the records: what is appended meanwhile is left for later
        count = len(self.records)
        first = bisect_right(self.records, position, hi=count, key=_position)
        last = self._end_of_batch(first, count)
        records = self.records[first:last]
        if last < count:
            return Batch(records, records[-1].position)
        return Batch(records, max(head, position, *map(_position, records[-1:])))

    def _end_of_batch(self, first: int, count: int) -> int:
        size = 0
        for index in range(first, count):
            is_full = index - first >= _BATCH or size >= _BATCH_BYTES
            if is_full and not self._belong_together(index):
                return index
            size += self.records[index].size
        return count

    def _belong_together(self, index: int) -> bool:
        """Whether a record stands where the one before it does."""
        return self.records[index - 1].position == self.records[index].position

    def append(self, records: Sequence[Record[P]], head: P) -> None:
        self.records.extend(records)
        self.size += sum(record.size for record in records)
        self.head = head

    def without(self, count: int) -> "Tail[P]":
        """The same without about so many of its first records."""
        while 0 < count < len(self.records) and self._belong_together(count):
            count -= 1
        if count == 0:
            return self
        return Tail(self.records[count - 1].position, self.head, self.records[count:])


class Follower(Protocol):
    """Who is told that a log has grown."""

    def wake(self) -> None: ...


class Log(ABC, Generic[P]):
    """One log. `name` tells it from all others, in every process; `topic` is what wakes it."""

    response: type[Any]

    def __init__(self, name: str, topic: str) -> None:
        self.name = name
        self.topic = topic
        self.tail: Tail[P] | None = None
        self.followers: set[Any] = set()
        self._joining = threading.Lock()

    @property
    def lag(self) -> float:
        """For how many seconds something that is there could not be told yet."""
        return 0.0

    @abstractmethod
    def read(self, database: Database, position: P | None, since: P | None = None) -> Page[P]:
        """A page behind a position; None is where a reader without a cursor starts.

        `since` is where the reader began to read pages, if this isn't the first one.
        Raises CursorExpired, DatabaseUnavailable.
        """

    @classmethod
    @abstractmethod
    def advance(cls, database: Database, logs: Sequence[Self]) -> dict[Self, float]:
        """Appends to the tails of all of them what is new; those to be looked at again, in how
        many seconds. Raises DatabaseUnavailable."""

    @abstractmethod
    def _take_over(self, page: Page[P]) -> None:
        """Keeps what has to be known to go on behind the page."""

    @staticmethod
    @abstractmethod
    def _write(position: P) -> str: ...

    @staticmethod
    @abstractmethod
    def _parse(text: str) -> P: ...

    def cursor(self, position: P) -> str:
        return cursor.encode(self.name, self._write(position))

    def position(self, text: str) -> P:
        """Raises CursorInvalid."""
        return self._parse(cursor.decode(self.name, text))

    def checkpoint(self, position: P) -> Sent:
        """The cursor alone."""
        return Sent(self.response(cursor=self.cursor(position)))

    def failure(self, position: P, status: Status) -> Sent:
        return Sent(self.response(cursor=self.cursor(position), error=status))

    def join(self, page: Page[P]) -> bool:
        """Begins the tail behind a last page, unless it has begun; says whether it did."""
        with self._joining:
            if self.tail is not None:
                return False
            self._take_over(page)
            self.tail = Tail(page.end, page.end, [])
            return True

    def detach(self) -> None:
        """Forgets the tail: its readers go on from the database, and begin a new one."""
        self.tail = None
        self.wake()

    def extend(self, records: Sequence[Record[P]], head: P) -> None:
        """Appends to the tail and tells everybody; for the hub's thread only."""
        tail = self.tail
        if tail is None:
            return
        tail.append(records, head)
        if len(tail.records) > _MAX_RECORDS or tail.size > _MAX_BYTES:
            self.tail = tail.without(excess(tail))
        if records:
            self.wake()

    def age(self) -> None:
        """Drops what was there already when this was last called: its readers have it by now."""
        tail = self.tail
        if tail is not None and tail.aged:
            self.tail = tail.without(tail.aged)
        elif tail is not None:
            tail.aged = len(tail.records)

    def wake(self) -> None:
        """Every follower looks whether there is something to do."""
        for follower in tuple(self.followers):
            follower.wake()


def excess(tail: Tail[Any]) -> int:
    """How many of the first records to drop, for half of what may be kept; the last one stays."""
    count, size = 0, tail.size
    while count < len(tail.records) - 1 and (
        len(tail.records) - count > _MAX_RECORDS // 2 or size > _MAX_BYTES // 2
    ):
        size -= tail.records[count].size
        count += 1
    return count
