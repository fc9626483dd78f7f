"""How sure something is to help."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.sessions.reasoners.confidence import (
    SURE,
    after_tries,
    by_fingerprint,
    by_likeness,
    by_wording,
)

PART = st.floats(0, 1)
NUMBER = st.integers(0, 10_000)


def test_what_reads_no_more_alike_than_another_is_not_sure():
    assert by_wording(0.23, 0.2) == pytest.approx(SURE)
    assert by_wording(0.23, 0.21) < SURE
    assert by_wording(0.1, 0.3) == 0


def test_what_is_alone_is_no_surer_than_beside_something_little_alike():
    assert by_wording(0.18, 0) == by_wording(0.18, 0.1) == pytest.approx(SURE)
    assert by_wording(0.14, 0) < SURE


def test_wording_alone_is_never_as_sure_as_the_same_failure():
    assert by_wording(1, 0) < by_fingerprint(is_own=True)
    assert by_fingerprint(is_own=False) < by_fingerprint(is_own=True)
    assert by_likeness(1) >= SURE > by_likeness(0.7)


@pytest.mark.parametrize(
    ("worked", "failed", "expected"),
    [(0, 0, 0.9), (2, 0, 0.94), (0, 1, 0.675), (0, 3, 0.45), (3, 3, 0.633), (10_000, 0, 0.99)],
)
def test_tries_make_it_surer_or_less_sure(worked, failed, expected):
    assert after_tries(0.9, worked, failed) == expected


@given(PART, NUMBER, NUMBER)
def test_a_confidence_stays_between_0_and_1(guess, worked, failed):
    assert 0 <= after_tries(guess, worked, failed) <= 1


@given(PART, PART)
def test_likeness_is_worth_between_0_and_1(similarity, best_other):
    assert 0 <= by_wording(similarity, best_other) <= 1
