"""The conformance suite against the in-memory predicate, and the errors of what is refused."""

from operator import attrgetter

import pytest

import filters
from tests.filters_cases import things

MESSAGES = {row["id"]: things.message(row) for row in things.rows()}


@pytest.mark.parametrize("case", things.cases(), ids=attrgetter("filter"))
def test_matches_the_messages_it_should(case):
    matches = filters.compile_predicate(case.filter, things.SCHEMA)
    assert {name for name, message in MESSAGES.items() if matches(message)} == case.matches


@pytest.mark.parametrize("case", things.bad_cases(), ids=attrgetter("filter"))
def test_says_what_is_wrong_and_where(case):
    with pytest.raises(filters.FilterError) as refused:
        filters.compile_sql(case.filter, things.SCHEMA)
    error = refused.value
    assert (type(error), *error.args) == (case.error, case.message, case.offset, case.hint)
