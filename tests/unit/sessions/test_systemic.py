"""When a failure is systemic, and how that is told."""

import pytest

from server.sessions.reasoners.findings import Pattern
from server.sessions.reasoners.systemic import is_systemic, told


@pytest.mark.parametrize(
    ("pattern", "occurrences", "expected"),
    [
        (Pattern(), 1, False),
        (Pattern(others=8), 1, False),
        (Pattern(others=9), 1, True),
        (Pattern(others=4), 6, True),
        (Pattern(others=1, automations=["a"]), 1, False),
        (Pattern(others=1, automations=["a", "b"]), 1, True),
        (Pattern(others=1, last_hour=1), 1, False),
        (Pattern(others=2, last_hour=2), 1, True),
        (Pattern(others=2, last_hour=2, usual=1.01), 1, False),
        (Pattern(others=6, last_hour=5, usual=2), 1, True),
    ],
)
def test_each_rule(pattern, occurrences, expected):
    assert is_systemic(pattern, occurrences) is expected


def test_a_pattern_is_told_with_its_number_day_and_automations():
    pattern = Pattern(others=13, since="2026-03-02", automations=["billing", "ordering"])
    assert told(pattern, 1) == "raised 14 times since 2026-03-02, in billing and ordering"


def test_not_every_automation_is_named():
    pattern = Pattern(others=9, automations=list("abcdefg"))
    assert told(pattern, 1) == "raised 10 times, in a, b, c, d, e and others"


def test_more_than_can_be_counted_is_told_so():
    assert told(Pattern(others=10_000), 1) == "raised more than 10000 times"


def test_a_sudden_one_is_told_beside_what_is_usual():
    text = told(Pattern(others=5, automations=["a"], last_hour=4, usual=0.5), 1)
    assert "in a; 5 of them within an hour, where 0.5 are usual" in text


def test_an_hour_that_was_not_counted_to_its_end_is_told_so():
    text = told(Pattern(others=5_000, automations=["a"], last_hour=1_000, usual=2), 1)
    assert "; at least 1000 of them within an hour" in text
