"""SQL and predicate agree on random rows and filters, and NOT is the exact complement."""

import os

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import filters
from tests.filters_cases import random_filters, things

SOAK = bool(os.environ.get("KINTSUGI_SOAK"))
EXAMPLES = 20_000 if SOAK else 150


@pytest.mark.timeout(3600 if SOAK else 120)
@settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
@given(
    rows=st.lists(random_filters.rows, min_size=1, max_size=6),
    texts=st.lists(random_filters.filter_texts, min_size=1, max_size=4),
)
def test_sql_and_predicate_agree_and_not_is_the_complement(engine, rows, texts):
    stored = [things.stored(row) | {"id": str(number)} for number, row in enumerate(rows)]
    messages = [things.message(row) for row in rows]
    # A transaction each: in one for all, PostgreSQL would run out of locks.
    with engine.connect() as connection:
        connection.execute(sa.insert(things.things), stored)
        for text in texts:
            holds, negated = (
                filters.compile_sql(each, things.SCHEMA).where for each in (text, f"NOT ({text})")
            )
            found = connection.execute(
                sa.select(holds.label("holds"), negated.label("negated"), things.things.c.id)
            )
            by_sql = {int(number): (is_true, is_false) for is_true, is_false, number in found}
            matches = filters.compile_predicate(text, things.SCHEMA)
            mismatches = filters.compile_predicate(f"NOT ({text})", things.SCHEMA)
            for number, message in enumerate(messages):
                expected = matches(message)
                assert mismatches(message) is not expected, text
                assert by_sql[number] == (expected, not expected), text
