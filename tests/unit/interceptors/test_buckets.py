"""Buckets of many principals in one memory, which processes share."""

from pathlib import Path

import pytest

from server.domain.rates import Rate
from server.interceptors.buckets import Buckets

RATE = Rate(calls=1, burst=3)


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def taken(buckets: Buckets, principal: str, calls: int = 10) -> int:
    return sum(not buckets.take(principal) for _ in range(calls))


def test_each_principal_has_a_bucket_of_its_own(clock: Clock) -> None:
    buckets = Buckets(RATE, clock=clock)
    assert taken(buckets, "users/ada") == 3
    assert taken(buckets, "users/bob") == 3
    clock.now += 2
    assert taken(buckets, "users/ada") == 2


def test_who_is_refused_is_told_when_to_come_back(clock: Clock) -> None:
    buckets = Buckets(RATE, clock=clock)
    taken(buckets, "users/ada", 3)
    clock.now += 0.25
    assert buckets.take("users/ada") == pytest.approx(0.75)
    clock.now += 0.75
    assert buckets.take("users/ada") == 0


def test_those_who_open_one_file_share_what_is_in_it(clock: Clock, tmp_path: Path) -> None:
    file = tmp_path / "rates"
    one, other = Buckets(RATE, file, clock), Buckets(RATE, file, clock)
    assert [bool(each.take("users/ada")) for each in (one, other, one, other, one)] == [
        *(False, False, False),
        *(True, True),
    ]
    assert taken(Buckets(RATE, file, clock), "users/ada") == 0
    assert taken(Buckets(RATE, clock=clock), "users/ada") == 3


def test_more_principals_than_there_are_slots_forget_nobody_who_is_busy(clock: Clock) -> None:
    """The busy one's slot is only taken when all others that its hash may have are as busy."""
    buckets = Buckets(RATE, clock=clock)
    taken(buckets, "users/busy")
    for number in range(5_000):
        clock.now += 0.0001
        taken(buckets, f"users/{number}", 1)
    assert 0 < buckets.take("users/busy") < 1
    assert taken(buckets, "users/4999", 5) == 2


@pytest.mark.parametrize("old", [b"", b"\xff" * 70_000, b"torn"])
def test_a_file_that_somebody_left_behind_does_no_harm(
    clock: Clock, tmp_path: Path, old: bytes
) -> None:
    (tmp_path / "rates").write_bytes(old)
    assert taken(Buckets(RATE, tmp_path / "rates", clock), "users/ada") == 3


def test_a_folder_that_is_missing_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        Buckets(RATE, tmp_path / "nowhere" / "rates")
