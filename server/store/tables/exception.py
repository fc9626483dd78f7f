"""The tables of exceptions and their groups.

Those that count them are in `exception_count`.
"""

from sqlalchemy import (
    BigInteger,
    Index,
    Integer,
    LargeBinary,
    PrimaryKeyConstraint,
    Sequence,
    SmallInteger,
    Table,
    Text,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from server.store.tables.columns import column, metadata, time, uuid

PENDING = text("state = 1")
"""The exceptions of which there is only one for each identity; 1 is EXCEPTION_STATE_PENDING."""

UNREAD = text("fingerprint IS NULL")
"""The exceptions that no worker has looked at yet."""

exception_numbers = Sequence("exception_numbers", data_type=Integer)

exceptions = Table(
    "exceptions",
    metadata,
    uuid("workspace"),
    column("id", Text),
    column("number", Integer),
    column("automation", Text),
    column("run", Text),
    column("start_byte", BigInteger),
    column("end_byte", BigInteger),
    column("message", Text),
    column("execution_id", Text),
    column("stage", SmallInteger),
    column("identity", LargeBinary),
    column("state", SmallInteger),
    column("description", Text),
    column("group", Text),
    column("assignee", Text),
    column("resolver", Text),
    column("resolution_guide_entry", Text),
    column("resolution_note", Text),
    column("extra", JSONB),
    column("occurrence_count", Integer),
    time("last_occurrence_time"),
    column("version", Integer),
    time("create_time"),
    time("update_time"),
    column("fingerprint", LargeBinary, nullable=True),
    PrimaryKeyConstraint("workspace", "id"),
    Index("exceptions_newest", "workspace", "create_time", "id"),
    Index("exceptions_state", "workspace", "state", "create_time", "id"),
    Index("exceptions_automation", "workspace", "automation", "create_time", "id"),
    Index("exceptions_group", "workspace", "group", "create_time", "id"),
    Index("exceptions_run", "workspace", "run", "create_time", "id"),
    Index(
        "exceptions_fingerprint",
        *("workspace", "fingerprint", "create_time"),
        postgresql_where=text("fingerprint IS NOT NULL"),
    ),
    # Workers read the newest of all workspaces first, and ask none of them by itself.
    Index("exceptions_unread", "create_time", postgresql_where=UNREAD),
    Index("exceptions_extra", "extra", postgresql_using="gin"),
    Index("exceptions_pending", "workspace", "identity", unique=True, postgresql_where=PENDING),
)

exception_groups = Table(
    "exception_groups",
    metadata,
    uuid("workspace"),
    column("id", Text),
    column("default_assignee", Text),
    column("version", Integer),
    time("update_time"),
    PrimaryKeyConstraint("workspace", "id"),
)
"""What can be changed about a workspace's groups; all of them have a row."""
