"""The tables of workspaces, and of who may do what in them.

What a role may is in `server.domain.access`.
"""

from sqlalchemy import (
    Boolean,
    Index,
    Integer,
    LargeBinary,
    PrimaryKeyConstraint,
    SmallInteger,
    Table,
    Text,
)
from sqlalchemy.dialects.postgresql import ARRAY

from server.store.tables.columns import MASKED, column, metadata, time, uuid

workspaces = Table(
    "workspaces",
    metadata,
    uuid("uid"),
    column("organization", Text),
    column("id", Text),
    column("title", Text),
    column("features", ARRAY(Text)),
    column("version", Integer),
    time("create_time"),
    time("update_time"),
    PrimaryKeyConstraint("uid"),
    Index("workspaces_name", "organization", "id", unique=True),
    Index("workspaces_newest", "organization", "create_time", "id"),
)

members = Table(
    "members",
    metadata,
    uuid("workspace"),
    column("id", Text),
    column("title", Text),
    column("role", SmallInteger),
    column("version", Integer),
    time("create_time"),
    time("update_time"),
    PrimaryKeyConstraint("workspace", "id"),
    Index("members_principal", "id"),
)
"""`id` is that of the user."""

access_tokens = Table(
    "access_tokens",
    metadata,
    uuid("workspace"),
    column("id", Text),
    column("digest", LargeBinary, info={MASKED: True}),
    column("principal", Text),
    column("title", Text),
    column("role", SmallInteger),
    column("all_workspaces", Boolean),
    time("expire_time", nullable=True),
    column("revoked", Boolean),
    time("last_use_time", nullable=True),
    column("version", Integer),
    time("create_time"),
    time("update_time"),
    PrimaryKeyConstraint("workspace", "id"),
    Index("access_tokens_digest", "digest", unique=True),
)
"""`principal` is the id of its user."""
