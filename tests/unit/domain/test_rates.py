"""How often something may be done, by a clock that the test moves."""

import pytest

from server.domain.rates import Rate

RATE = Rate(calls=10, burst=20)


def admitted(bucket: float, now: float, calls: int) -> tuple[int, float]:
    """How many of `calls` at one instant are let through, and the bucket afterwards."""
    count = 0
    for _ in range(calls):
        if RATE.wait(bucket, now) == 0:
            bucket = RATE.counted(bucket, now)
            count += 1
    return count, bucket


def test_a_burst_is_let_through_and_no_more() -> None:
    count, bucket = admitted(0, 1000, 50)
    assert count == 20
    assert RATE.wait(bucket, 1000) == pytest.approx(0.1)


def test_after_a_burst_calls_come_back_at_the_rate() -> None:
    _, bucket = admitted(0, 1000, 20)
    for tenth in range(1, 100):
        count, bucket = admitted(bucket, 1000 + tenth / 10 + 0.001, 5)
        assert count == 1


def test_whoever_waits_as_told_is_let_through() -> None:
    _, bucket = admitted(0, 1000, 20)
    for now in (1000, 1000.03, 1000.0999):
        assert RATE.wait(bucket, now + RATE.wait(bucket, now)) == 0


def test_rest_gives_the_burst_back_but_not_more() -> None:
    _, bucket = admitted(0, 1000, 20)
    assert admitted(bucket, 1001.001, 50)[0] == 10
    assert admitted(bucket, 1002.001, 50)[0] == 20
    assert admitted(bucket, 9000, 50)[0] == 20


def test_in_the_long_run_it_is_the_rate() -> None:
    bucket, count = 0.0, 0
    for hundredth in range(6000):
        more, bucket = admitted(bucket, 1000 + hundredth / 100, 1)
        count += more
    assert count == pytest.approx(60 * 10 + 20, abs=1)


def test_a_bucket_of_another_clock_is_an_empty_one() -> None:
    """The machine was started again: its clock begins anew, the file of the buckets may be old."""
    _, bucket = admitted(0, 1_000_000, 20)
    assert RATE.wait(bucket, 5) == 0
    assert admitted(bucket, 5, 50)[0] == 20
