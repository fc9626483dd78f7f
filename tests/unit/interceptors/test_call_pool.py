"""The threads of calls: how many calls there are, what ends badly, and how all of it ends."""

import threading
from collections.abc import Iterator

import pytest

from server.interceptors.admission import CallPool

SECONDS = 20


@pytest.fixture
def pool() -> Iterator[CallPool]:
    made = CallPool("calls", threads=1, limit=2)
    yield made
    made.shutdown()


def over(pool: CallPool) -> None:
    """Returns when what was submitted before has been done, and told."""
    done = threading.Event()
    pool.submit(lambda: None).add_done_callback(lambda _: done.set())
    assert done.wait(SECONDS)


def fail(*_: object) -> None:
    raise IndexError("as anything may")


def test_calls_that_wait_are_counted_too(pool: CallPool) -> None:
    begun, free = threading.Event(), threading.Event()

    def hold() -> None:
        begun.set()
        free.wait(SECONDS)

    pool.submit(hold)
    assert begun.wait(SECONDS)
    pool.submit(hold)
    assert (pool.count, pool.queued, pool.is_full) == (2, 1, True)
    free.set()
    over(pool)
    assert (pool.count, pool.is_full) == (0, False)


def test_a_call_that_breaks_off_takes_no_thread_with_it(pool: CallPool) -> None:
    pool.submit(fail)
    over(pool)
    assert pool.count == 0


def test_a_callback_that_fails_keeps_nobody_from_being_told(pool: CallPool) -> None:
    told, free = threading.Event(), threading.Event()
    turn = pool.submit(free.wait, SECONDS)
    turn.add_done_callback(fail)
    turn.add_done_callback(lambda _: told.set())
    free.set()
    assert told.wait(SECONDS)
    over(pool)


def test_who_asks_too_late_is_told_at_once(pool: CallPool) -> None:
    turn = pool.submit(lambda: None)
    over(pool)
    told: list[object] = []
    turn.add_done_callback(told.append)
    assert told == [turn]


def test_what_waits_is_done_before_the_end_and_nothing_begins_after_it(pool: CallPool) -> None:
    done: list[int] = []
    for number in range(3):
        pool.submit(done.append, number)
    pool.shutdown()
    assert done == [0, 1, 2]
    with pytest.raises(RuntimeError, match="have ended"):
        pool.submit(done.append, 3)
    assert pool.count == 0
