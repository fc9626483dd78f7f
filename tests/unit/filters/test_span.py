"""Which filters are a span of time, and what is left of them without it."""

import pytest
import sqlalchemy as sa
from kintsugi.v1 import exception_pb2 as pb
from sqlalchemy.dialects import postgresql

import filters

SCHEMA = filters.Schema(
    state=filters.Enum(pb.ExceptionState, sa.Column("state", sa.SmallInteger, nullable=False)),
    time=filters.Timestamp(sa.Column("time", sa.DateTime, nullable=False)),
)
DAY = 86_400_000_000


@pytest.mark.parametrize(
    ("text", "start", "end", "rest"),
    [
        ("time >= 1970-01-02T00:00:00Z", DAY, None, "(true)"),
        ("time > 1970-01-02T00:00:00Z", DAY + 1, None, "(true)"),
        ("time < 1970-01-02T00:00:00Z", None, DAY, "(true)"),
        ("time <= 1970-01-02T00:00:00Z", None, DAY + 1, "(true)"),
        ("time < 1970-01-01T00:00:00.0000005Z", None, 1, "(true)"),
        (
            "time >= 1970-01-02T00:00:00Z time < 1970-01-03T00:00:00Z",
            *(DAY, 2 * DAY, "(true)"),
        ),
        (
            (
                "time >= 1970-01-02T00:00:00Z"
                " (time > 1970-01-03T00:00:00Z AND time < 1970-01-04T00:00:00Z)"
            ),
            *(2 * DAY + 1, 3 * DAY, "(true)"),
        ),
        ("state = PENDING AND time < 1970-01-02T00:00:00Z", None, DAY, "(state = 1)"),
        (
            (
                "(state = PENDING OR state = ARCHIVED) AND NOT state = RESOLVED"
                " AND time >= 1970-01-01T00:00:00Z"
            ),
            *(0, None, "(((state = 1 OR state = 3) AND (NOT state = 2)))"),
        ),
    ],
)
def test_a_span_has_its_bounds_and_the_rest(text, start, end, rest):
    span = filters.compile_span(text, SCHEMA)
    compiled = span.where.compile(
        dialect=postgresql.dialect(), compile_kwargs={"literal_binds": True}
    )
    assert (span.start, span.end, str(compiled)) == (start, end, rest)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "state = PENDING",
        "time = 1970-01-02T00:00:00Z",
        "time != 1970-01-02T00:00:00Z AND time > 1970-01-01T00:00:00Z",
        "NOT time > 1970-01-02T00:00:00Z",
        "state = PENDING OR time > 1970-01-02T00:00:00Z",
        "time > 1970-01-01T00:00:00Z AND (state = PENDING OR time > 1970-01-02T00:00:00Z)",
        "time:* AND time > 1970-01-01T00:00:00Z",
    ],
)
def test_anything_else_is_none(text):
    assert filters.compile_span(text, SCHEMA) is None
