"""The tables in which exceptions are counted.

The exceptions are in `exception`.
"""

from sqlalchemy import (
    BigInteger,
    Column,
    Identity,
    Integer,
    PrimaryKeyConstraint,
    SmallInteger,
    Table,
    Text,
)

from server.store.tables.columns import column, metadata, uuid

exception_counts = Table(
    "exception_counts",
    metadata,
    uuid("workspace"),
    column("automation", Text),
    column("group", Text),
    column("state", SmallInteger),
    column("stage", SmallInteger),
    column("n", BigInteger),
    PrimaryKeyConstraint("workspace", "automation", "group", "state", "stage"),
)
"""How many exceptions there are of each kind, but for what `exception_count_deltas` adds to it."""

exception_day_counts = Table(
    "exception_day_counts",
    metadata,
    uuid("workspace"),
    column("day", Integer),
    column("state", SmallInteger),
    column("n", BigInteger),
    PrimaryKeyConstraint("workspace", "day", "state"),
)
"""The same by the day, of UTC, on which they were first raised, in days since 1970."""

exception_count_deltas = Table(
    "exception_count_deltas",
    metadata,
    uuid("workspace"),
    Column("id", BigInteger, Identity(always=True), nullable=False),
    column("automation", Text),
    column("group", Text),
    column("state", SmallInteger),
    column("stage", SmallInteger),
    column("n", SmallInteger),
    column("day", Integer),
    PrimaryKeyConstraint("workspace", "id"),
)
"""How many exceptions of a kind a change made more, or less."""
