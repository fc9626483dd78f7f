"""What errors say where it depends on what was found."""

from server.domain.errors import TooManyMatches


def test_a_count_that_stopped_asks_for_a_narrower_filter() -> None:
    error = TooManyMatches(1_000_000, 2_000_000, is_lower_bound=True)
    assert error.message == (
        "more than 1,000,000 match, which can't be done in one go; narrow the filter"
    )
