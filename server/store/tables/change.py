"""The tables of the change record, and of the clusters that its transaction numbers are of.

The audit that is made of it is in `audit`.
"""

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
from sqlalchemy.dialects.postgresql import JSONB

from server.store.tables.columns import TransactionId, column, metadata, time, uuid

clusters = Table(
    "clusters",
    metadata,
    column("epoch", Integer),
    column("system_identifier", BigInteger),
    time("begin_time"),
    PrimaryKeyConstraint("epoch"),
)

changes = Table(
    "changes",
    metadata,
    uuid("workspace"),
    Column("id", BigInteger, Identity(always=True), nullable=False),
    column("epoch", Integer),
    column("xid", TransactionId()),
    column("principal", Text),
    column("method", Text),
    column("request_id", Text, nullable=True),
    column("body_digest", LargeBinary, nullable=True),
    column("resource", Text),
    column("before", JSONB, nullable=True),
    column("after", JSONB),
    time("create_time"),
    PrimaryKeyConstraint("workspace", "id"),
    Index("changes_committed", "workspace", "epoch", "xid", "id"),
    column("token", Text),
    column("address", Text),
    Index(
        "changes_request",
        *("workspace", "principal", "method", "request_id"),
        unique=True,
        postgresql_where=text("request_id IS NOT NULL"),
    ),
)

pruned_changes = Table(
    "pruned_changes",
    metadata,
    uuid("workspace"),
    column("epoch", Integer),
    column("xid", TransactionId()),
    column("id", BigInteger),
    PrimaryKeyConstraint("workspace"),
)
"""The last change of each workspace that is no longer kept."""
