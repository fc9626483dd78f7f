"""What is asked for at the same time is done together, and none suffers for another."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from server.domain.call import Call, entered, remaining_seconds
from server.domain.errors import DatabaseUnavailable, DeadlinePassed, KintsugiError
from server.operations import gathering
from server.operations.gathering import Gathering
from server.store.errors import Duplicate, Undone
from tests.integration.waiting import until

KEY = "workspace"


class Work:
    """Doubles numbers, and remembers how; what it does alone or together may be held up."""

    def __init__(self) -> None:
        self.gathering = Gathering(self._alone, self._together)
        self.pool = ThreadPoolExecutor(50)
        self.alone: list[int] = []
        self.groups: list[list[int]] = []
        self.holds: dict[int, threading.Event] = {}
        self.fails: Callable[[Sequence[int]], None] = lambda _: None

    def ask(self, item: int, *, size: int = 1, seconds: float = 60, key: str = KEY) -> Future[int]:
        return self.pool.submit(self._ask, item, size, seconds, key)

    def ask_behind(self, *items: int, size: int = 1) -> list[Future[int]]:
        """One after the other, while something is being done."""
        asked: list[Future[int]] = []
        for item in items:
            asked.append(self.ask(item, size=size))
            until(lambda: len(self.waiting) == len(asked))
        return asked

    def hold(self, item: int) -> threading.Event:
        return self.holds.setdefault(item, threading.Event())

    @property
    def waiting(self) -> Sequence[object]:
        return self.gathering._lines[KEY].waiting

    def _ask(self, item: int, size: int, seconds: float, key: str) -> int:
        with entered(Call("", "users/ada", time.monotonic() + seconds)):
            return self.gathering.do(key, item, size)

    def _alone(self, item: int) -> int:
        self.alone.append(item)
        self._do([item])
        return 2 * item

    def _together(self, items: Sequence[int]) -> list[int | None]:
        self.groups.append(list(items))
        self._do(items)
        return [2 * item if item < 100 else None for item in items]

    def _do(self, items: Sequence[int]) -> None:
        for item in items:
            if item in self.holds:
                assert self.holds[item].wait(20)
        self.fails(items)


@pytest.fixture
def work() -> Iterator[Work]:
    made = Work()
    yield made
    for hold in made.holds.values():
        hold.set()
    made.pool.shutdown()


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gathering, "_PATIENCE_SECONDS", 60)


def begun(work: Work, item: int) -> tuple[threading.Event, Future[int]]:
    hold = work.hold(item)
    asked = work.ask(item)
    until(lambda: item in work.alone)
    return hold, asked


def test_who_comes_alone_is_done_alone(work: Work) -> None:
    assert [work.ask(1).result(), work.ask(2).result()] == [2, 4]
    assert (work.alone, work.groups) == ([1, 2], [])


@pytest.mark.usefixtures("patient")
def test_what_comes_meanwhile_is_done_together(work: Work) -> None:
    hold, first = begun(work, 1)
    asked = work.ask_behind(2, 3, 4)
    hold.set()
    assert [each.result() for each in (first, *asked)] == [2, 4, 6, 8]
    assert (work.alone, work.groups) == ([1], [[2, 3, 4]])
    assert work.ask(5).result() == 10


@pytest.mark.usefixtures("patient")
def test_nobody_waits_for_what_is_known_to_be_stuck(work: Work) -> None:
    begun(work, 1)
    work.gathering._lines[KEY].running[0] -= 60
    assert [work.ask(2).result(20), work.ask(3).result(20)] == [4, 6]
    assert (work.alone, work.groups) == ([1, 2, 3], [])


@pytest.mark.usefixtures("patient")
def test_what_was_left_out_is_done_alone(work: Work) -> None:
    hold, _ = begun(work, 1)
    asked = work.ask_behind(2, 100)
    hold.set()
    assert [each.result() for each in asked] == [4, 200]
    assert (work.alone, work.groups) == ([1, 100], [[2, 100]])


@pytest.mark.usefixtures("patient")
@pytest.mark.parametrize(
    "error", [Undone(), Duplicate("index"), DeadlinePassed(), ValueError("a fault")]
)
def test_only_what_fails_by_itself_fails(work: Work, error: Exception) -> None:
    def fail(items: Sequence[int]) -> None:
        if 3 in items:
            raise error

    work.fails = fail
    hold, _ = begun(work, 1)
    asked = work.ask_behind(4, 3, 5)
    hold.set()
    assert (asked[0].result(), asked[2].result()) == (8, 10)
    assert asked[1].exception() is error
    assert work.groups == [[4, 3, 5]]


@pytest.mark.usefixtures("patient")
def test_a_group_has_the_time_of_its_most_patient_one(work: Work) -> None:
    """Else it would be given up for one of them, and done again by others though it may be done."""
    left: list[float] = []
    hold, _ = begun(work, 1)
    work.fails = lambda items: left.append(remaining_seconds())
    asked = [work.ask(2, seconds=10)]
    until(lambda: len(work.waiting) == 1)
    asked.append(work.ask(3, seconds=1000))
    until(lambda: len(work.waiting) == 2)
    hold.set()
    assert [each.result() for each in asked] == [4, 6]
    assert 900 < left[-1] <= 1000


@pytest.mark.usefixtures("patient")
def test_nothing_is_done_again_that_may_be_done(work: Work) -> None:
    def fail(items: Sequence[int]) -> None:
        if len(items) > 1:
            raise DatabaseUnavailable

    work.fails = fail
    hold, _ = begun(work, 1)
    asked = work.ask_behind(2, 3)
    hold.set()
    assert [type(each.exception()) for each in asked] == [DatabaseUnavailable] * 2
    assert work.alone == [1]


def test_what_is_stuck_holds_nobody_up(work: Work) -> None:
    _, stuck = begun(work, 1)
    assert [work.ask(item).result(5) for item in (2, 3)] == [4, 6]
    assert not stuck.done()


@pytest.mark.usefixtures("patient")
def test_other_keys_wait_for_nothing(work: Work) -> None:
    _, stuck = begun(work, 1)
    assert work.ask(2, key="another").result(5) == 4
    assert not stuck.done()


@pytest.mark.usefixtures("patient")
def test_no_more_is_done_together_than_is_good(work: Work) -> None:
    hold, _ = begun(work, 1)
    asked = work.ask_behind(*range(2, 42))
    hold.set()
    assert [each.result() for each in asked] == [2 * item for item in range(2, 42)]
    assert [len(group) for group in work.groups] == [32, 8]
    hold, _ = begun(work, 50)
    asked = work.ask_behind(51, 52, 53, size=100 * 1024)
    hold.set()
    assert [each.result() for each in asked] == [102, 104, 106]
    assert (work.groups[2:], work.alone[-1]) == ([[51, 52]], 53)


def test_a_deadline_ends_the_wait_for_others(work: Work, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gathering, "_PATIENCE_SECONDS", 0.3)
    first, _ = begun(work, 1)
    behind = work.hold(2)
    [other] = work.ask_behind(2)
    late = work.ask(3, seconds=0.6)
    until(lambda: len(work.waiting) == 2)
    first.set()
    with pytest.raises(DeadlinePassed):
        late.result()
    assert not other.done()
    behind.set()
    assert (other.result(), work.groups) == (4, [[2, 3]])


def test_a_storm_gets_what_it_asked_for(work: Work) -> None:
    def fail(items: Sequence[int]) -> None:
        time.sleep(0.001)
        if len(items) > 1 and 7 in items:
            raise KintsugiError("not so")

    work.fails = fail
    numbers = [number % 120 for number in range(2000)]
    asked = [work.ask(number) for number in numbers]
    assert [each.result() for each in asked] == [2 * number for number in numbers]
    assert any(len(group) > 1 for group in work.groups)
    assert not work.waiting
