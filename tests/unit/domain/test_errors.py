"""What errors say where it depends on what was found."""

import pytest

from server.domain.errors import RateLimited, TooManyMatches


def test_a_count_that_stopped_asks_for_a_narrower_filter() -> None:
    error = TooManyMatches(1_000_000, 2_000_000, is_lower_bound=True)
    assert error.message == (
        "more than 1,000,000 match, which can't be done in one go; narrow the filter"
    )


@pytest.mark.parametrize(("wait", "told"), [(0.00002, 0.05), (0.05, 0.05), (3.5, 3.5)])
def test_nobody_is_told_to_come_back_for_the_very_next_place(wait: float, told: float) -> None:
    assert RateLimited("users/ada", 1000, wait).retry_seconds == told
