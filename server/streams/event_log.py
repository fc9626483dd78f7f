"""Threads as followed logs: their records are whole events and states of those being generated.

A position is a sequence of the thread.
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
from server.streams.log import Log, Matches, Page, Record
from server.streams.sent import Sent

_ID, _TEXT = EVENT.columns.index("id"), EVENT.columns.index("text")
_NOTHING = -1
"""No sequence: what is known of a log whose text has to be read from the beginning."""

_STATE_SIZE = 200

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

    def __init__(self, log: "EventLog", found: _Found) -> None:
        self.position = found.position
        self._sent = Sent(log.response_of(found.position, found.row))
        self.size: int = self._sent.response.ByteSize()

    def sent(self, matches: Matches) -> Sent | None:
        return self._sent if matches is None or matches(self._sent.response.event) else None


class EventState:
    """An event as it was at a position while it was generated; made when somebody wants it."""

    __slots__ = ("_count", "_growing", "_sent", "position", "size")

    def __init__(self, growing: "Growing", position: int) -> None:
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

    def grow(self, found: _Found, position: int) -> EventState:
        self.parts.append(found.added or "")
        self.end()
        self.newest = EventState(self, position)
        return self.newest

    def end(self) -> None:
        """Whoever hasn't read the newest state yet, gets what comes after it instead."""
        if self.newest is not None:
            self.newest.forget()
        self.newest = None

    def sent(self, position: int, count: int) -> Sent:
        text = "".join(self.parts[:count])
        row = (*self._row[:_TEXT], text, *self._row[_TEXT + 1 :])
        return Sent(self._log.response_of(position, row))


class EventLog(Log[int]):
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

    def response_of(self, position: int, row: Row) -> StreamEventsResponse:
        event = EVENT.read(pb.Event, self._parent, row)
        return StreamEventsResponse(event=event, cursor=self.cursor(position))

    def read(self, database: Database, position: int | None, since: int | None = None) -> Page[int]:
        rows = database.all(NEW_EVENTS, _parameters([(self, position or 0, _NOTHING)]))
        _, last, pruned = rows[0][:3] if rows else (0, 0, 0)
        if position is None:
            return self.read(database, pruned) if pruned else self._page(_news(rows), 0, 0)
        if not pruned <= position <= last:
            raise CursorExpired
        return self._page(_news(rows), position, position if since is None else since)

    @classmethod
    def advance(cls, database: Database, logs: Sequence[Self]) -> dict[Self, float]:
        following = [(log, log.tail.head, log.known) for log in logs if log.tail]
        rows_of = defaultdict(list)
        for row in database.all(NEW_EVENTS, _parameters(following)):
            rows_of[row[0]].append(row)
        return {
            log: 0.0
            for number, (log, head, _) in enumerate(following, start=1)
            if number in rows_of and log.take(_news(rows_of[number]), head)
        }

    def _page(self, news: _News, position: int, since: int) -> Page[int]:
        growing: dict[int, Growing] = {}
        records = self._records(news, growing, position, since)
        return Page(records, news.end, position, news.is_last, growing)

    def take(self, news: _News, head: int) -> bool:
        """Appends it to the tail that ends at `head`; says whether there is more."""
        if news.end < head:  # another database than before: a copy that lags behind
            self.detach()
            return False
        if self.known == _NOTHING:
            self._forget_growing()
        since = min(head, self.known)
        self.extend(self._records(news, self._growing, head, since), news.end)
        self.known = news.end if news.is_last else _NOTHING
        return not news.is_last

    def _records(
        self, news: _News, growing: dict[int, Growing], position: int, since: int
    ) -> list[Record[int]]:
        """States that were reached after `since`, but before this page, stand at its end."""
        records: list[Record[int]] = []
        for found in news.found:
            id = found.row[_ID]
            if found.added is None:
                if ended := growing.pop(id, None):
                    ended.end()
                records.append(WholeEvent(self, found))
                continue
            if id not in growing:
                growing[id] = Growing(self, found)
            at = found.position if found.position > position else news.end
            state = growing[id].grow(found, at)
            records += [state] if found.position > since else []
        return sorted(records, key=_position)

    def _take_over(self, page: Page[int]) -> None:
        self._growing = page.known
        self.known = page.end

    def _forget_growing(self) -> None:
        for each in self._growing.values():
            each.end()
        self._growing = {}

    @staticmethod
    def _write(position: int) -> str:
        return str(position)

    @staticmethod
    def _parse(text: str) -> int:
        return int(text)


def _parameters(following: Iterable[tuple[EventLog, int, int]]) -> dict[str, Any]:
    logs, positions, knowns = zip(*following, strict=True)
    return {
        "workspaces": [log.workspace for log in logs],
        "names": [log.local_name for log in logs],
        "positions": list(positions),
        "knowns": list(knowns),
    }


def _news(rows: Sequence[Row]) -> _News:
    """The answer to NEW_EVENTS about one thread; none, if there is no thread yet."""
    found = [_Found(row[3], row[4], row[5], row[6:]) for row in rows if row[3] is not None]
    whole = [each for each in found if each.added is None]
    newest = max(whole, key=_position, default=None)
    if newest is None or (len(whole) < PAGE_ROWS and newest.through < PAGE_BYTES):
        return _News(sorted(found, key=_position), rows[0][1] if rows else 0, is_last=True)
    return _News(sorted(whole, key=_position), newest.position, is_last=False)
