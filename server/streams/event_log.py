"""Threads as followed logs: their records are whole events and states of those being generated.

A position is (epoch, sequence of the thread): a restored database gives the same sequences again.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from operator import attrgetter
from typing import Any, NamedTuple, Self

from kintsugi.v1 import event_pb2 as pb
from kintsugi.v1.event_service_pb2 import StreamEventsResponse

from server.domain.errors import CursorExpired
from server.domain.names import ThreadName
from server.resources.event import EVENT
from server.store.connection import Database, Row
from server.store.events import local_name
from server.store.following import NEW_EVENTS, PAGE_BYTES, PAGE_ROWS
from server.store.topics import thread_topic
from server.streams.cursor import INT32, INT64, numbers
from server.streams.log import Log, Matches, Page, Record
from server.streams.sent import Sent

_ID, _TEXT = EVENT.columns.index("id"), EVENT.columns.index("text")
_NOTHING = -1
"""No sequence: what is known of a log whose text has to be read from the beginning."""

_STATE_SIZE = 200

Position = tuple[int, int]

_BEGINNING: Position = (0, 0)
"""Before everything, in each epoch."""

_position = attrgetter("position")


class _Found(NamedTuple):
    """An event of the answer to NEW_EVENTS; `added` is None if it is whole."""

    position: int
    added: str | None
    through: int
    row: Row


class WholeEvent:
    """An event that won't change any more."""

    __slots__ = ("_sent", "position", "size")

    def __init__(self, log: "EventLog", position: Position, row: Row) -> None:
        self.position = position
        self._sent = Sent(log.response_of(position, row))
        self.size: int = self._sent.response.ByteSize()

    def sent(self, matches: Matches) -> Sent | None:
        return self._sent if matches is None or matches(self._sent.response.event) else None


class EventState:
    """An event as it was at a position while it was generated; made when somebody wants it."""

    __slots__ = ("_count", "_growing", "_sent", "position", "size")

    def __init__(self, growing: "Growing", position: Position) -> None:
        self.position = position
        self.size = _STATE_SIZE
        self._growing = growing
        self._count = len(growing.parts)
        self._sent: Sent | None = None

    def sent(self, matches: Matches) -> Sent | None:
        """Nothing, if the event has grown since: the newer state will do."""
        if self._growing.newest is not self:
            return None
        if self._sent is None:
            self._sent = self._growing.sent(self.position, self._count)
        return self._sent if matches is None or matches(self._sent.response.event) else None

    def forget(self) -> None:
        self._sent = None


class _News(NamedTuple):
    """What there is behind a position of a thread: a page, in order, that ends at `end`."""

    epoch: int
    found: list[_Found]
    end: int
    is_last: bool


class Growing:
    """An event that is being generated: its row, and its text in parts."""

    def __init__(self, log: "EventLog", found: _Found) -> None:
        self._log = log
        self._row = found.row
        self.parts: list[str] = [found.row[_TEXT]]
        self.newest: EventState | None = None

    def grow(self, found: _Found, position: Position) -> EventState:
        self.parts.append(found.added or "")
        self.end()
        self.newest = EventState(self, position)
        return self.newest

    def end(self) -> None:
        """Whoever hasn't read the newest state yet, gets what comes after it instead."""
        if self.newest is not None:
            self.newest.forget()
        self.newest = None

    def sent(self, position: Position, count: int) -> Sent:
        text = "".join(self.parts[:count])
        row = (*self._row[:_TEXT], text, *self._row[_TEXT + 1 :])
        return Sent(self._log.response_of(position, row))


class EventLog(Log[Position]):
    """The thread of one parent, in the workspace with the given uid."""

    response = StreamEventsResponse

    def __init__(self, workspace: str, thread: ThreadName) -> None:
        self.workspace = workspace
        self.local_name = local_name(thread)
        self._parent = str(thread)
        self._growing: dict[int, Growing] = {}
        self.known = _NOTHING
        name = f"{workspace}/{self.local_name}/events"
        super().__init__(name, thread_topic(workspace, self.local_name))

    def response_of(self, position: Position, row: Row) -> StreamEventsResponse:
        event = EVENT.read(pb.Event, self._parent, row)
        return StreamEventsResponse(event=event, cursor=self.cursor(position))

    def read(
        self, database: Database, position: Position | None, since: Position | None = None
    ) -> Page[Position]:
        start = _BEGINNING if position is None else position
        rows = database.all(NEW_EVENTS, _parameters([(self, start, _NOTHING)]))
        epoch, last, pruned = rows[0][1:4] if rows else (*_BEGINNING, 0)
        if position is None and pruned:
            return self.read(database, (epoch, pruned))
        if (start != _BEGINNING and start[0] != epoch) or not pruned <= start[1] <= last:
            raise CursorExpired
        return self._page(_news(rows), start, start if since is None else since)

    @classmethod
    def advance(cls, database: Database, logs: Sequence[Self]) -> dict[Self, float]:
        following = [(log, log.tail.head, log.known) for log in logs if log.tail]
        rows_of = defaultdict(list)
        for row in database.all(NEW_EVENTS, _parameters(following)):
            rows_of[row[0]].append(row)
        return {
            log: 0.0
            for number, (log, head, _) in enumerate(following, start=1)
            if number in rows_of and log.take(rows_of[number], head)
        }

    def _page(self, news: _News, position: Position, since: Position) -> Page[Position]:
        growing: dict[int, Growing] = {}
        records = self._records(news, growing, position[1], since[1])
        return Page(records, (news.epoch, news.end), position, news.is_last, growing)

    def take(self, rows: Sequence[Row], head: Position) -> bool:
        """Appends them to the tail that ends at `head`; says whether there is more."""
        news = _news(rows)
        is_other = head != _BEGINNING and news.epoch != head[0]
        if is_other or not rows[0][3] <= head[1] <= news.end:
            # Another database than before, or what is behind was pruned: readers find out.
            self.detach()
            return False
        if self.known == _NOTHING:
            self._forget_growing()
        since = min(head[1], self.known)
        records = self._records(news, self._growing, head[1], since)
        self.extend(records, (news.epoch, news.end))
        self.known = news.end if news.is_last else _NOTHING
        return not news.is_last

    def _records(
        self, news: _News, growing: dict[int, Growing], position: int, since: int
    ) -> list[Record[Position]]:
        """States that were reached after `since`, but before this page, stand at its end.

        They come last: whoever goes on from the cursor of one has got all whole events before it.
        """
        records: list[Record[Position]] = []
        late: list[Record[Position]] = []
        for found in news.found:
            id = found.row[_ID]
            if found.added is None:
                if ended := growing.pop(id, None):
                    ended.end()
                records.append(WholeEvent(self, (news.epoch, found.position), found.row))
                continue
            if id not in growing:
                growing[id] = Growing(self, found)
            is_late = found.position <= position
            at = news.end if is_late else found.position
            state = growing[id].grow(found, (news.epoch, at))
            if found.position > since:
                (late if is_late else records).append(state)
        return records + late

    def _take_over(self, page: Page[Position]) -> None:
        self._growing = page.known
        self.known = page.end[1]

    def _forget_growing(self) -> None:
        for each in self._growing.values():
            each.end()
        self._growing = {}

    @staticmethod
    def _write(position: Position) -> str:
        return ".".join(map(str, position))

    @staticmethod
    def _parse(text: str) -> Position:
        epoch, sequence = numbers(text, INT32, INT64)
        return epoch, sequence


def _parameters(following: Iterable[tuple[EventLog, Position, int]]) -> dict[str, Any]:
    logs, positions, knowns = zip(*following, strict=True)
    return {
        "workspaces": [log.workspace for log in logs],
        "names": [log.local_name for log in logs],
        "positions": [sequence for _, sequence in positions],
        "knowns": list(knowns),
    }


def _news(rows: Sequence[Row]) -> _News:
    """The answer to NEW_EVENTS about one thread; none, if there is no thread yet."""
    if not rows:
        return _News(_BEGINNING[0], [], _BEGINNING[1], is_last=True)
    _, epoch, last = rows[0][:3]
    found = [_Found(row[4], row[5], row[6], row[7:]) for row in rows if row[4] is not None]
    whole = [each for each in found if each.added is None]
    newest = max(whole, key=_position, default=None)
    if newest is None or newest.position == last or not _is_full(whole, newest):
        return _News(epoch, sorted(found, key=_position), last, is_last=True)
    return _News(epoch, sorted(whole, key=_position), newest.position, is_last=False)


def _is_full(whole: Sequence[_Found], newest: _Found) -> bool:
    return len(whole) >= PAGE_ROWS or newest.through >= PAGE_BYTES
