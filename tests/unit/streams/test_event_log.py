"""Threads as followed logs: whoever goes on from any cursor gets every whole event, once."""

from dataclasses import dataclass, field
from itertools import islice
from math import inf
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kintsugi.v1 import event_pb2 as pb

from server.domain.errors import CursorExpired
from server.domain.names import parse_thread
from server.store.events import COMPLETE, STREAMING
from server.streams.event_log import EventLog
from server.streams.log import Page
from server.streams.reader import Patience, Reader

THREAD = parse_thread("organizations/o/workspaces/w/automations/a/runs/r/agents/kai")


@dataclass
class Thread:
    """What the database holds of one thread, and answers to NEW_EVENTS about it."""

    page_rows: int = 128
    epoch: int = 1
    last: int = 0
    pruned: int = 0
    whole: list[int] = field(default_factory=list)
    events: dict[int, int] = field(default_factory=dict)
    """By the sequence at which each became whole, the one at which it began."""
    growing: dict[int, list[int]] = field(default_factory=dict)
    """The sequences of the chunks of each event that is being generated."""

    def next(self) -> int:
        self.last += 1
        return self.last

    def say(self, count: int) -> None:
        for _ in range(count):
            sequence = self.next()
            self.events[sequence] = sequence

    def begin(self) -> None:
        self.growing[self.next()] = []

    def grow(self, which: int) -> None:
        if self.growing:
            sorted(self.growing.items())[which % len(self.growing)][1].append(self.next())

    def complete(self, which: int) -> None:
        if self.growing:
            id = sorted(self.growing)[which % len(self.growing)]
            del self.growing[id]
            self.events[self.next()] = id

    @property
    def log(self) -> list[int]:
        return [id for _, id in sorted(self.events.items())]

    def all(self, _query: Any, parameters: dict[str, Any]) -> list[Any]:
        rows: list[Any] = []
        given = zip(parameters["positions"], parameters["knowns"], strict=True)
        for number, (position, known) in enumerate(given, start=1):
            if self.last in (0, known):
                continue
            head = (number, self.epoch, self.last, self.pruned)
            found = [*self._whole(position), *self._growing(known)] or [(None,) * 11]
            rows += [(*head, *each) for each in found]
        return rows

    def _whole(self, position: int) -> list[Any]:
        behind = sorted((at, id) for at, id in self.events.items() if at > position)
        return [(at, None, 1, *row(id, COMPLETE)) for at, id in behind[: self.page_rows]]

    def _growing(self, known: int) -> list[Any]:
        found = []
        for id, chunks in self.growing.items():
            new = [chunk for chunk in chunks if chunk > max(known, id)]
            if new or id > known:
                added = "".join(f"+{chunk}" for chunk in new)
                found.append((max([id, *new]), added, None, *row(id, STREAMING)))
        return found


def row(id: int, state: int) -> tuple[Any, ...]:
    return (0, 0, id, state, pb.EVENT_KIND_AGENT_MESSAGE, "", "text", b"")


class Impatient(Reader[Any]):
    """It is sent a cursor as soon as there is nothing else."""

    def _wait(self, _seconds: float) -> None:
        self._quiet_since = -inf


class Source:
    """What a hub is to readers, without its thread."""

    def __init__(self, thread: Thread) -> None:
        self.thread: Any = thread
        self.log = EventLog("w", THREAD)

    def read(self, log: Any, position: Any, since: Any) -> Page[Any]:
        page: Page[Any] = log.read(self.thread, position, since)
        return page

    def join(self, log: Any, page: Any) -> None:
        log.join(page)

    def check(self) -> None:
        pass

    def advance(self) -> None:
        while self.log.tail is not None and EventLog.advance(self.thread, [self.log]):
            pass

    def reader(self, after: str) -> Reader[Any]:
        made = Impatient(self.log, self, None, lambda: None, Patience(checkpoint=60, slow=60))
        made.begin(after)
        return made


class Client:
    """It drops its stream after every few messages and goes on from its last cursor."""

    def __init__(self, source: Source, every: int) -> None:
        self.source, self.every = source, every
        self.cursor = ""
        self.whole: list[int] = []
        self.states = 0
        self.stream: Any = None

    def read(self) -> None:
        """What there is by now."""
        is_over = False
        while not is_over:
            if self.stream is None:
                self.stream = iter(self.source.reader(self.cursor))
            sent = [each.response for each in islice(self.stream, self.every)]
            for response in sent:
                self._take(response)
            is_over = not sent[-1].HasField("event")
            if self.every < 1000:
                self.stream = None

    def _take(self, response: Any) -> None:
        self.cursor = response.cursor
        if response.event.state == COMPLETE:
            self.whole.append(int(response.event.name.rpartition("/")[2]))
        else:
            self.states += response.HasField("event")


STEPS = st.one_of(
    st.tuples(st.just("say"), st.integers(1, 70)),
    st.tuples(st.just("begin")),
    st.tuples(st.sampled_from(["grow", "complete"]), st.integers(0, 5)),
    st.tuples(st.sampled_from(["advance", "age", "read"])),
)


@given(
    st.lists(STEPS, max_size=40),
    st.integers(1, 9),
    st.integers(1, 9),
    st.lists(st.integers(1, 12), min_size=1, max_size=3),
)
def test_no_whole_event_is_skipped_or_repeated_wherever_a_reader_drops(
    steps: list[Any], page_rows: int, batch: int, drops: list[int]
) -> None:
    thread = Thread(page_rows)
    source = Source(thread)
    clients = [Client(source, every) for every in (*drops, 1000)]
    with (
        patch("server.streams.event_log.PAGE_ROWS", page_rows),
        patch("server.streams.log._BATCH", batch),
        patch("server.streams.log._MAX_RECORDS", 4 * batch),
    ):
        for name, *values in [*steps, ("advance",), ("read",)]:
            if name == "advance":
                source.advance()
            elif name == "age":
                source.log.age()
            elif name == "read":
                for client in clients:
                    client.read()
            else:
                getattr(thread, name)(*values)
    for client in clients:
        assert client.whole == thread.log, client.every


@pytest.mark.parametrize("every", [1, 7, 13, 50, 127, 128, 129, 299, 300, 301])
def test_what_is_generated_meanwhile_hides_nothing(every: int) -> None:
    thread = Thread()
    thread.begin()
    thread.grow(0)
    thread.say(300)
    client = Client(Source(thread), every)
    client.read()
    assert client.whole == thread.log


@pytest.mark.parametrize("count", [31, 32, 33, 127, 128, 129, 160, 224, 256])
def test_a_burst_hides_neither_an_event_nor_what_is_being_generated(count: int) -> None:
    thread = Thread()
    thread.begin()
    source = Source(thread)
    client = Client(source, 1000)
    client.read()
    assert client.states == 1
    client.states = 0
    thread.say(count)
    source.advance()
    client.read()
    assert client.whole == thread.log
    assert client.states == (count > 128)


def test_a_cursor_of_another_epoch_has_expired() -> None:
    thread = Thread()
    thread.say(3)
    source = Source(thread)
    client = Client(source, 1000)
    client.read()
    thread.epoch = 2
    thread.say(1)
    with pytest.raises(CursorExpired):
        Source(thread).reader(client.cursor)
    source.advance()
    with pytest.raises(CursorExpired):
        client.read()


def test_a_tail_that_ends_before_what_was_pruned_is_given_up() -> None:
    thread = Thread()
    thread.say(3)
    source = Source(thread)
    client = Client(source, 1000)
    client.read()
    thread.say(3)
    thread.pruned = 5
    source.advance()
    with pytest.raises(CursorExpired):
        client.read()
