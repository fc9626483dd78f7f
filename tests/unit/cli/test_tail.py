"""Where `kintsugi events tail` begins."""

from typing import Any, cast

import pytest
from kintsugi.v1 import event_pb2 as pb
from kintsugi.v1.event_service_pb2 import ListEventsResponse

from cli.tail import UNFINISHED, Beginning
from cli.threads import Threads


class Listed:
    """A thread as it is listed, the newest first."""

    def __init__(self, *events: pb.Event) -> None:
        self.events = events

    def pages(self, _thread: str, limit: int, matching: str) -> list[ListEventsResponse]:
        events = [] if UNFINISHED in matching else self.events[:limit]
        return [ListEventsResponse(events=events)]


def event(number: int, seconds: int = 5) -> pb.Event:
    return pb.Event(name=f"thread/events/{number}", create_time={"seconds": seconds})


@pytest.mark.parametrize(("lines", "shown"), [(0, [12]), (1, [11, 12]), (2, [10, 11, 12])])
def test_events_of_one_time_are_told_apart(lines: int, shown: list[int]) -> None:
    threads: Any = Listed(event(11), event(10), event(9), event(8))
    beginning = Beginning.of(cast(Threads, threads), "thread", "", lines)
    assert [n for n in range(8, 13) if beginning.includes(event(n))] == shown
