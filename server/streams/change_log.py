"""The changes of a workspace's exceptions as a followed log.

A position is (epoch, transaction, id): the order in which changes are known to be complete.
"""

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import cached_property
from operator import attrgetter
from time import monotonic
from typing import Any, NamedTuple, Self

from kintsugi.v1 import exception_pb2 as pb
from kintsugi.v1.exception_service_pb2 import WatchExceptionsResponse

from server.domain.errors import CursorExpired
from server.domain.names import WorkspaceName
from server.domain.timestamps import EPOCH
from server.resources.exception import EXCEPTION
from server.store.connection import Database, Row
from server.store.following import LAST_ID, NEW_CHANGES, PAGE_BYTES, PAGE_ROWS, SCAN_ROWS
from server.store.topics import workspace_topic
from server.streams.cursor import INT32, INT64, UINT64, numbers
from server.streams.log import Log, Matches, Page
from server.streams.sent import Sent

Position = tuple[int, int, int]

_Change = WatchExceptionsResponse.Change
_CHANGES = {
    (False, True): _Change.CHANGE_ADDED,
    (True, True): _Change.CHANGE_MODIFIED,
    (True, False): _Change.CHANGE_REMOVED,
}
"""What a change means to a watcher, by whether the exception matched before and does now."""

_NOW: Position = (2**31 - 1, 0, 0)
"""Behind all changes."""

_SOONEST_SECONDS, _LATEST_SECONDS = 0.01, 0.2
_MICROSECOND = timedelta(microseconds=1)
_TIMES = ("create_time", "update_time", "last_occurrence_time")


class _Found(NamedTuple):
    """A change of the answer to NEW_CHANGES; without an `after` it is none of an exception."""

    rank: int
    position: Position
    before: dict[str, Any] | None
    after: dict[str, Any] | None
    size: int
    through: int


class ChangeRecord:
    """One change of one exception; its messages are made when somebody wants them."""

    def __init__(self, log: "ChangeLog", found: _Found) -> None:
        self.position = found.position
        self.size = 2 * found.size
        self._log = log
        self._found = found
        self._sent: dict[int, Sent] = {}

    def sent(self, matches: Matches) -> Sent | None:
        before = self._found.before is not None and (matches is None or matches(self._before))
        after = matches is None or matches(self._after)
        change = _CHANGES.get((before, after))
        if change is None:
            return None
        if change not in self._sent:
            cursor = self._log.cursor(self.position)
            self._sent[change] = Sent(
                WatchExceptionsResponse(change=change, exception=self._after, cursor=cursor)
            )
        return self._sent[change]

    @cached_property
    def _before(self) -> pb.Exception:
        return self._log.message((self._found.after or {}) | (self._found.before or {}))

    @cached_property
    def _after(self) -> pb.Exception:
        return self._log.message(self._found.after or {})


class _News(NamedTuple):
    records: list[ChangeRecord]
    end: Position
    is_last: bool
    is_held: bool
    is_pruned: bool


class ChangeLog(Log[Position]):
    """The exceptions of the workspace with the given uid."""

    response = WatchExceptionsResponse

    def __init__(self, uid: str, workspace: WorkspaceName) -> None:
        self.uid = uid
        self._workspace = str(workspace)
        self.collection = f"{workspace}/exceptions/"
        self._held_since: float | None = None
        super().__init__(f"{uid}/exceptions", workspace_topic(uid))

    @property
    def lag(self) -> float:
        return monotonic() - self._held_since if self._held_since else 0.0

    def message(self, image: dict[str, Any]) -> pb.Exception:
        """The exception of a row as the change record keeps it: times are texts there."""
        times = {name: _microseconds(image[name]) for name in _TIMES}
        row = tuple((image | times)[name] for name in EXCEPTION.columns)
        return EXCEPTION.read(pb.Exception, self._workspace, row)

    def read(
        self,
        database: Database,
        position: Position | None,
        since: Position | None = None,  # noqa: ARG002 - of no use here
    ) -> Page[Position]:
        rows = database.all(NEW_CHANGES, _parameters([(self, position or _NOW)]))
        news = self._news(rows)
        if position is not None and (news.is_pruned or news.end < position):
            raise CursorExpired
        return Page(news.records, news.end, position or news.end, news.is_last)

    @classmethod
    def advance(cls, database: Database, logs: Sequence[Self]) -> dict[Self, float]:
        following = [(log, log.tail.head) for log in logs if log.tail]
        rows_of = defaultdict(list)
        for row in database.all(NEW_CHANGES, _parameters(following)):
            rows_of[row[0]].append(row)
        again = {}
        for number, (log, head) in enumerate(following, start=1):
            seconds = log.take(rows_of[number], head)
            if seconds is not None:
                again[log] = seconds
        return again

    def take(self, rows: Sequence[Row], head: Position) -> float | None:
        """Appends to the tail that ends at `head`; in how many seconds to look again, if so."""
        news = self._news(rows)
        if news.is_pruned or news.end < head:
            # Behind it something is gone, or it is another database, a copy that lags behind.
            self.detach()
            return None
        self.extend(news.records, news.end)
        if not news.is_last:
            return 0.0
        if not news.is_held:
            self._held_since = None
            return None
        now = monotonic()
        self._held_since = self._held_since or now
        return min(max(_SOONEST_SECONDS, now - self._held_since), _LATEST_SECONDS)

    def _news(self, rows: Sequence[Row]) -> _News:
        _, epoch, horizon, is_held, is_pruned = rows[0][:5]
        found = [
            _Found(row[5], (row[6], int(row[7]), row[8]), *row[9:])
            for row in rows
            if row[5] is not None
        ]
        found.sort(key=attrgetter("rank"))
        is_last = not found or not _is_full(found)
        end = (epoch, int(horizon) - 1, LAST_ID) if is_last else found[-1].position
        records = [ChangeRecord(self, each) for each in found if each.after is not None]
        return _News(records, end, is_last, is_held, is_pruned)

    def _take_over(self, _page: Page[Position]) -> None:
        self._held_since = None

    @staticmethod
    def _write(position: Position) -> str:
        return ".".join(map(str, position))

    @staticmethod
    def _parse(text: str) -> Position:
        epoch, xid, id = numbers(text, INT32, UINT64, INT64)
        return epoch, xid, id


def _is_full(found: Sequence[_Found]) -> bool:
    """Whether there may be more behind it."""
    last = found[-1]
    return last.rank == SCAN_ROWS or len(found) == PAGE_ROWS or last.through >= PAGE_BYTES


def _parameters(following: Sequence[tuple[ChangeLog, Position]]) -> dict[str, Any]:
    positions = [position for _, position in following]
    return {
        "workspaces": [log.uid for log, _ in following],
        "collections": [log.collection for log, _ in following],
        "epochs": [epoch for epoch, _, _ in positions],
        "xids": [str(xid) for _, xid, _ in positions],
        "ids": [id for _, _, id in positions],
    }


def _microseconds(time: str) -> int:
    return (datetime.fromisoformat(time) - EPOCH) // _MICROSECOND
