"""One stream: what it is sent, from where its caller asked for until the caller hangs up.

It holds a position, and at most one batch: what else it hasn't sent is in the log's tail or in the
database.
"""

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from math import inf
from queue import Empty, SimpleQueue
from time import monotonic
from typing import Generic, Protocol

from server.domain.call import Grant
from server.domain.errors import DatabaseUnavailable
from server.streams.delivery import Delivery
from server.streams.log import Batch, Log, Matches, P, Page, Record
from server.streams.metrics import MESSAGES
from server.streams.sent import Sent

_RETRY_SECONDS = 1.0


@dataclass(frozen=True)
class Patience:
    """After how many seconds a quiet stream is sent a cursor, and a stuck one is cut off."""

    checkpoint: float
    slow: float


class Source(Protocol):
    """Where readers get what isn't in memory."""

    def read(self, log: Log[P], position: P | None, since: P | None) -> Page[P] | None:
        """`Log.read`, or None where too many others are reading: try again."""

    def join(self, log: Log[P], page: Page[P]) -> None:
        """Follow the log from now on behind its last page, unless that is done already."""

    def check(self) -> None:
        """Raises ServerStopping if it is so."""


class Reader(Generic[P]):
    """Iterated over, it is what its caller is sent; `begin` comes first.

    `hang_up` ends the caller's call, which is the last resort against one that takes nothing.
    """

    def __init__(
        self,
        log: Log[P],
        source: Source,
        matches: Matches,
        hang_up: Callable[[], None],
        patience: Patience,
    ) -> None:
        self._grant = Grant()
        self.log = log
        self.position: P
        self._source = source
        self._matches = matches
        self._delivery = Delivery(hang_up, patience.slow)
        self.cut_off = self._delivery.cut_off
        self._patience = patience
        self._signal: SimpleQueue[None] = SimpleQueue()
        self._is_signalled = False
        self._has_caught_up = False
        self._has_ended = False
        self._paging_since: P | None = None

    def begin(self, after: str) -> bool:
        """Checks the cursor `after`, which may be empty, and reads the first page.

        False if the caller was gone before it came. Raises CursorInvalid, CursorExpired,
        DatabaseUnavailable, ServerStopping.
        """
        position = self.log.position(after) if after else None
        page = None
        while page is None:
            if self._has_ended:
                return False
            self._source.check()
            page = self._source.read(self.log, position, None)
        self._page: Page[P] | None = page
        self.position = page.start
        return True

    def wake(self) -> None:
        """There may be something to do. Cheap, and harmless if there isn't."""
        if not self._is_signalled:
            self._is_signalled = True
            self._signal.put(None)

    def obey(self, grant: Grant) -> None:
        """From now on the stream ends when the grant is withdrawn."""
        self._grant = grant
        grant.on_withdrawal = self.wake

    def end(self) -> None:
        """The caller is gone."""
        self._has_ended = True
        self._signal.put(None)

    def __iter__(self) -> Iterator[Sent]:
        """Raises ReaderTooSlow, CursorExpired, ServerStopping, and why its grant is withdrawn."""
        self._quiet_since = monotonic()
        while not self._has_ended:
            self._source.check()
            self._grant.check()
            batch = self._next()
            # Whatever was sent is let go: a reader may be stuck for long.
            records, end = deque(batch.records), batch.end
            del batch
            while records:
                yield from self._send(records.popleft())
            self.position = end
            if monotonic() - self._quiet_since >= self._patience.checkpoint:
                yield from self._sending(self.log.checkpoint(self.position))

    def _send(self, record: Record[P]) -> Iterator[Sent]:
        sent, position = record.sent(self._matches), record.position
        del record
        self.position = position
        if sent is not None:
            yield from self._sending(sent)

    def _sending(self, sent: Sent) -> Iterator[Sent]:
        """Control comes back when the message was taken."""
        yield from self._delivery.paced((sent,))
        MESSAGES.inc()
        self._quiet_since = monotonic()

    def _next(self) -> Batch[P]:
        """What comes next; nothing, if after a while nothing came."""
        if self._page is not None:
            return self._read(self._page)
        tail = self.log.tail
        if tail is None or self.position < tail.start:
            return self._catch_up()
        batch = tail.after(self.position)
        if not batch.records and not self.position < batch.end:
            self._wait_for_news()
        return batch

    def _wait_for_news(self) -> None:
        """At first not at all: whoever has caught up is sent a cursor at once, since one that
        began without one needs it before anything happens."""
        if self._has_caught_up:
            self._wait(self._quiet_since + self._patience.checkpoint - monotonic())
        else:
            self._has_caught_up = True
            self._quiet_since = -inf

    def _catch_up(self) -> Batch[P]:
        try:
            page = self._source.read(self.log, self.position, self._paging_since)
        except DatabaseUnavailable:
            self._wait(_RETRY_SECONDS)
            page = None
        return Batch((), self.position) if page is None else self._read(page)

    def _read(self, page: Page[P]) -> Batch[P]:
        self._page = None
        if page.is_last:
            self._paging_since = None
            self._source.join(self.log, page)
        elif self._paging_since is None:
            self._paging_since = page.start
        return page

    def _wait(self, seconds: float) -> None:
        with suppress(Empty):
            self._signal.get(timeout=max(seconds, 0))
        self._is_signalled = False
