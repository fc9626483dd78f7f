"""Where `kintsugi events tail` begins: the last few events, and whatever isn't whole yet.

Streams begin at a thread's first event; what came before is kept out here.
"""

from dataclasses import dataclass
from typing import Self

from google.protobuf.timestamp_pb2 import Timestamp
from kintsugi.v1 import event_pb2 as pb

from cli.connection import PAGE
from cli.threads import Threads

UNFINISHED = "state = STATE_STREAMING"


@dataclass(frozen=True)
class Beginning:
    """The filter of the stream, and which of the events that match it aren't to be shown."""

    matching: str
    since: tuple[int, int, int] = (0, 0, 0)
    seen: frozenset[str] = frozenset()
    unfinished: frozenset[str] = frozenset()

    @classmethod
    def of(cls, threads: Threads, thread: str, matching: str, lines: int) -> Self:
        """With the last `lines` events that match; raises ServiceError."""
        last = _newest(threads, thread, matching, max(lines, 1))
        if len(last) < max(lines, 1):
            return cls(matching)
        unfinished = _newest(threads, thread, both(matching, UNFINISHED), PAGE)
        oldest = min((event.create_time for event in [*last, *unfinished]), key=_moment)
        return cls(
            both(matching, f'create_time >= "{oldest.ToJsonString()}"'),
            _place(last[-1]),
            frozenset() if lines else frozenset(event.name for event in last),
            frozenset(event.name for event in unfinished),
        )

    def includes(self, event: pb.Event) -> bool:
        """Whether it is one of the last, or wasn't whole yet, or came later."""
        recent = _place(event) >= self.since and event.name not in self.seen
        return recent or event.name in self.unfinished


def both(*filters: str) -> str:
    """One filter of several; the first is left as it is, so that errors in it say their place."""
    return " AND ".join(filter(None, filters))


def _newest(threads: Threads, thread: str, matching: str, limit: int) -> list[pb.Event]:
    return [event for page in threads.pages(thread, limit, matching) for event in page.events]


def _place(event: pb.Event) -> tuple[int, int, int]:
    """Where it stands among all: many may be of one time."""
    return *_moment(event.create_time), int(event.name.rpartition("/")[2])


def _moment(time: Timestamp) -> tuple[int, int]:
    return time.seconds, time.nanos
