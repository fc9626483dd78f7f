"""What PostgreSQL does with the SQL: comparisons that an index can serve are served by it."""

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.compiler import compiles

import filters
from tests.filters_cases import things

ROWS = 5_000
FILLER = "and what else was said about it" * 6
INDEXES = (
    "create index by_state on things (state) where state = 1",
    "create index by_automation on things (automation, create_time)",
    "create index by_run on things (run)",
    'create index by_group on things ("group")',
    "create index by_count on things (count)",
    "create index by_create_time on things (create_time)",
    "create index by_message on things using gin (lower(message) gin_trgm_ops)",
    "create index by_description on things using gin (lower(description) gin_trgm_ops)",
    "create index by_extra on things using gin (extra)",
)


class Explain(sa.Executable, sa.ClauseElement):
    inherit_cache = False

    def __init__(self, statement):
        self.statement = statement


@compiles(Explain)
def _explain(element, compiler, **options):
    return f"explain {compiler.process(element.statement, **options)}"


@pytest.fixture(scope="module")
def indexed(engine):
    """Many rows, every index, rolled back at the end."""
    with engine.connect() as connection:
        connection.execute(sa.text("create extension if not exists pg_trgm"))
        rows = [
            things.stored(
                {
                    "state": "PENDING" if number % 500 == 0 else "RESOLVED",
                    "automation": f"automation-{number % 500}",
                    "run": f"run-{number}",
                    "group": f"group-{number % 700}",
                    "message": f"message number {number:x} of all {FILLER}",
                    "description": f"description {number:o} {FILLER}"[:200],
                    "count": number,
                    "extra": {"env": f"env-{number % 1000}"},
                    "create_time": f"2025-01-01T{number // 3600:02}:{number // 60 % 60:02}:00Z",
                }
            )
            | {"id": str(number)}
            for number in range(ROWS)
        ]
        connection.execute(sa.delete(things.things))
        connection.execute(sa.insert(things.things), rows)
        for index in INDEXES:
            connection.execute(sa.text(index))
        connection.execute(sa.text("analyze things"))
        yield connection


@pytest.mark.parametrize(
    ("text", "index"),
    [
        ("state = PENDING", "by_state"),
        ("automation = automation-7", "by_automation"),
        ("automation = automations/automation-7", "by_automation"),
        ('automation = automation-7 AND create_time > "2025-01-01T00:30:00Z"', "by_automation"),
        ("run = run-7", "by_run"),
        ('run = "run-7 OR run-8"', "by_run"),
        ("run = (run-7 OR run-8)", "by_run"),
        ("run = run-7 OR run = run-8", "by_run"),
        ('group = "group-7"', "by_group"),
        ("count = 7", "by_count"),
        ("count > 4990", "by_count"),
        ('create_time = "2025-01-01T00:30:00Z"', "by_create_time"),
        ('create_time > "2025-01-01T01:20:00Z"', "by_create_time"),
        ('create_time > "2025-01-01T01:00:00Z" AND NOT count = 3', "by_create_time"),
        ('message:"number 1386 of"', "by_message"),
        ('message contains "NUMBER 1386 OF"', "by_message"),
        ('description:"description 7777"', "by_description"),
        ('"description 7777"', "by_description"),
        ("extra.env = env-7", "by_extra"),
        ("extra.env:env-7", "by_extra"),
        ("extra:nothing", "by_extra"),
        ('message:"number 1386 of" AND state = RESOLVED', "by_message"),
    ],
)
def test_an_index_serves(indexed, text, index):
    where = filters.compile_sql(text, things.SCHEMA).where
    plan = indexed.scalars(Explain(sa.select(sa.func.count()).where(where)))
    assert index in "\n".join(plan)
