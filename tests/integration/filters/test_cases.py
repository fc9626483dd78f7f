"""The conformance suite against PostgreSQL."""

from operator import attrgetter

import psycopg
import pytest
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg

import filters
from tests.filters_cases import things

CASES = things.cases()
NAMES = {row["id"] for row in things.rows()}
ID = things.things.c.id


@pytest.fixture(scope="module")
def filled(engine):
    with engine.connect() as connection:
        connection.execute(sa.insert(things.things), [things.stored(row) for row in things.rows()])
        yield connection


@pytest.mark.parametrize("case", CASES, ids=attrgetter("filter"))
def test_selects_the_rows_it_should(filled, case):
    where = filters.compile_sql(case.filter, things.SCHEMA).where
    assert set(filled.scalars(sa.select(ID).where(where))) == case.matches


@pytest.mark.parametrize(
    "case", [case for case in CASES if case.filter.strip()], ids=attrgetter("filter")
)
def test_is_true_or_false_on_every_row_and_negated_the_other(filled, case):
    holds = filters.compile_sql(case.filter, things.SCHEMA).where
    negated = filters.compile_sql(f"NOT ({case.filter})", things.SCHEMA).where
    found = filled.execute(sa.select(ID, holds.label("holds"), negated.label("negated"))).all()
    expected = {(name, name in case.matches, name not in case.matches) for name in NAMES}
    assert set(map(tuple, found)) == expected


def test_the_parameters_are_such_that_every_driver_takes_them(filters_database, filled):
    """Compiled by SQLAlchemy, sent without it."""
    with psycopg.connect(filters_database) as connection:
        for case in CASES:
            where = filters.compile_sql(case.filter, things.SCHEMA).where
            compiled = sa.select(ID).where(where).compile(dialect=PGDialect_psycopg())
            values = {name: bind.value for bind, name in compiled.bind_names.items()}
            connection.execute(str(compiled), values)
