"""The newest records of a log: what a reader at any place gets of them."""

from dataclasses import dataclass
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from server.streams.log import Batch, Tail, excess


@dataclass
class Item:
    position: int
    size: int = 1

    def sent(self, matches: Any) -> None:
        return None


def positions(batch: Batch[int]) -> list[int]:
    return [record.position for record in batch.records]


def read_all(tail: Tail[int], position: int) -> list[int]:
    found: list[int] = []
    while position < tail.head:
        batch = tail.after(position)
        found += positions(batch)
        position = batch.end
    return found


@given(st.sets(st.integers(1, 300)), st.integers(0, 300), st.integers(0, 50))
def test_a_reader_gets_all_that_is_behind_it_once(
    given: set[int], position: int, beyond: int
) -> None:
    tail: Tail[int] = Tail(0, 0, [])
    items = [Item(each) for each in sorted(given)]
    tail.append(items, max(given, default=0) + beyond)
    assert read_all(tail, position) == [item.position for item in items if item.position > position]


def test_a_reader_ahead_of_the_tail_stays_where_it_is() -> None:
    tail: Tail[int] = Tail(0, 0, [])
    tail.append([Item(1)], 5)
    assert tail.after(7) == Batch([], 7)


def test_a_shorter_tail_begins_behind_what_was_dropped() -> None:
    tail: Tail[int] = Tail(0, 0, [])
    tail.append([Item(1), Item(2), Item(3)], 9)
    shorter = tail.without(2)
    assert (shorter.start, shorter.head, shorter.size) == (2, 9, 1)
    assert positions(shorter.after(2)) == [3]
    assert positions(tail.after(0)) == [1, 2, 3]


def test_of_too_much_half_is_dropped_but_never_the_last() -> None:
    tail: Tail[int] = Tail(0, 0, [])
    tail.append([Item(number) for number in range(1, 600)], 600)
    assert len(tail.without(excess(tail)).records) == 256
    huge: Tail[int] = Tail(0, 0, [])
    huge.append([Item(1, size=2**30), Item(2, size=2**30)], 2)
    assert positions(huge.without(excess(huge)).after(1)) == [2]


@given(st.lists(st.integers(1, 60), max_size=200), st.integers(0, 60), st.data())
def test_what_stands_at_one_position_is_never_torn_apart(
    given: list[int], position: int, data: Any
) -> None:
    tail: Tail[int] = Tail(0, 0, [])
    tail.append([Item(each, size=9000) for each in sorted(given)], max(given, default=0))
    assert read_all(tail, position) == [each for each in sorted(given) if each > position]
    count = data.draw(st.integers(0, len(given)))
    shorter = tail.without(count)
    assert positions(Batch(shorter.records, 0)) == [
        each for each in sorted(given) if each > shorter.start
    ]
    assert len(shorter.records) >= len(given) - count


def test_a_tail_without_nothing_is_the_same() -> None:
    tail: Tail[int] = Tail(5, 6, [Item(6)])
    assert tail.without(0) is tail


def test_a_reader_takes_no_more_than_so_many_bytes_at_once() -> None:
    tail: Tail[int] = Tail(0, 0, [])
    tail.append([Item(each, size=100_000) for each in range(1, 9)], 8)
    assert positions(tail.after(0)) == [1, 2]
    assert read_all(tail, 0) == list(range(1, 9))
