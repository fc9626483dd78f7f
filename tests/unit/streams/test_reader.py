"""One stream: where its caller may go on, and what is kept while it takes nothing."""

import gc
import weakref
from typing import Any

import pytest
from kintsugi.v1.event_service_pb2 import StreamEventsResponse

from server.streams.log import Page
from server.streams.reader import Patience, Reader
from server.streams.sent import Sent


class Broken(Exception):
    pass


class Record:
    size = 1

    def __init__(self, position: int) -> None:
        self.position = position

    def sent(self, _matches: Any) -> Sent:
        if self.position == 3:
            raise Broken
        return Sent(StreamEventsResponse(cursor=str(self.position)))


class Source:
    """A log of three records, the last of which can't be sent."""

    tail = None

    def __init__(self) -> None:
        self.records = [Record(1), Record(2), Record(3)]

    def read(self, _log: Any, _position: Any, _since: Any) -> Page[int]:
        records, self.records = self.records, []
        return Page(records, 3, 0, is_last=False)

    def check(self) -> None:
        pass


def reader_of(source: Any) -> Reader[int]:
    return Reader(source, source, None, lambda: None, Patience(60, 60))


def test_what_could_not_be_sent_is_not_skipped_by_who_goes_on() -> None:
    reader = reader_of(Source())
    reader.begin("")
    stream = iter(reader)
    assert [next(stream).response.cursor, next(stream).response.cursor] == ["1", "2"]
    with pytest.raises(Broken):
        next(stream)
    assert reader.position == 2


def test_what_was_sent_is_kept_no_longer() -> None:
    source = Source()
    kept = [weakref.ref(record) for record in source.records]
    reader = reader_of(source)
    reader.begin("")
    stream = iter(reader)
    next(stream)
    next(stream)
    gc.collect()
    assert [each() is None for each in kept] == [True, True, False]


def test_a_caller_who_left_is_not_read_for() -> None:
    source = Source()
    reader = reader_of(source)
    reader.end()
    assert not reader.begin("")
    assert len(source.records) == 3
