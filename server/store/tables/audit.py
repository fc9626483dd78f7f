"""The tables of the audit: its chain, and what is yet to be appended to it.

What it is made of, mostly, is in `change`.
"""

from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    Identity,
    Index,
    Integer,
    LargeBinary,
    PrimaryKeyConstraint,
    Table,
    Text,
    text,
)
from sqlalchemy.dialects.postgresql import JSON

from server.store.tables.columns import TransactionId, column, metadata, time, uuid

REFUSED = text("type = 'call.refused'")


def _audited_columns() -> list[Column[Any]]:
    """What an audit entry says, and what is to become one."""
    who, what = ("principal", "token", "address"), ("method", "resource", "outcome")
    return [
        *(column(name, Text) for name in ("type", *who, *what)),
        column("count", Integer),
        column("before", JSON, nullable=True),
        column("after", JSON, nullable=True),
        time("create_time"),
    ]


audit_entries = Table(
    "audit_entries",
    metadata,
    uuid("workspace"),
    column("id", BigInteger),
    *_audited_columns(),
    column("hash", LargeBinary),
    PrimaryKeyConstraint("workspace", "id"),
    Index("audit_entries_principal", "workspace", "principal", "id"),
    Index("audit_entries_resource", "workspace", "resource", "id"),
)
"""A chain for each workspace; `id` counts from 1 without a gap. `before` and `after` are json, not
jsonb: they stay the text that was hashed."""

audit_seals = Table(
    "audit_seals",
    metadata,
    uuid("workspace"),
    column("id", BigInteger),
    column("hash", LargeBinary),
    column("epoch", Integer),
    column("xid", TransactionId()),
    column("change", BigInteger),
    time("create_time"),
    PrimaryKeyConstraint("workspace", "id"),
)
"""One for each batch that was sealed: its last entry, and the last change that is in the chain."""

pruned_audit_entries = Table(
    "pruned_audit_entries",
    metadata,
    uuid("workspace"),
    column("id", BigInteger),
    column("hash", LargeBinary),
    time("prune_time"),
    PrimaryKeyConstraint("workspace"),
)
"""The last entry of each workspace that is no longer kept: the chain goes on from its hash."""

pending_audit_entries = Table(
    "pending_audit_entries",
    metadata,
    uuid("workspace"),
    Column("id", BigInteger, Identity(always=True), nullable=False),
    *_audited_columns(),
    PrimaryKeyConstraint("workspace", "id"),
    Index(
        "pending_audit_entries_refused",
        *("workspace", "principal", "method", "outcome", "create_time"),
        unique=True,
        postgresql_where=REFUSED,
    ),
)
"""What is to become an audit entry without being a change. `create_time` of refused calls is the
minute in which they were."""
