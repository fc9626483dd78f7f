"""The tables of actions, of each time that one is sent, and of the connectors that say how.

The sessions that they belong to are in `agent_session`.
"""

from sqlalchemy import (
    Boolean,
    Column,
    Index,
    Integer,
    LargeBinary,
    PrimaryKeyConstraint,
    SmallInteger,
    Table,
    Text,
)
from sqlalchemy.dialects.postgresql import JSONB, TIMESTAMP

from server.store.tables.columns import MASKED, column, metadata, time, uuid

actions = Table(
    "actions",
    metadata,
    uuid("workspace"),
    *(column(name, Text) for name in ("session", "id", "exception", "action_type")),
    column("automated", Boolean),
    column("risk", SmallInteger),
    column("state", SmallInteger),
    column("state_reason", Text),
    column("connector", Text),
    column("connector_revision", Integer),
    *(column(name, Text) for name in ("guide_entry", "replaces", "digest", "approver")),
    time("approve_time", nullable=True),
    column("content", LargeBinary),
    column("result", LargeBinary),
    column("version", Integer),
    time("create_time"),
    time("update_time"),
    Column("position", Integer, nullable=False, info={MASKED: True}),
    Column("claim", Text, nullable=False, info={MASKED: True}),
    Column("claim_until", TIMESTAMP(timezone=True), info={MASKED: True}),
    PrimaryKeyConstraint("workspace", "session", "id"),
    Index("actions_newest", "workspace", "create_time", "id"),
    Index("actions_exception", "workspace", "exception", "create_time", "id"),
)
"""`content` and `result` are serialised: an Action with the fields that have no column, and its
Result, empty before it has ended. `position` counts from 1 in the session. `id` is also the
`Idempotency-Key`. `claim` is the claim id of who runs a `retry_run`, until `claim_until`.
"""

action_attempts = Table(
    "action_attempts",
    metadata,
    uuid("workspace"),
    *(column(name, Text) for name in ("session", "action")),
    column("number", Integer),
    uuid("lease"),
    time("send_time"),
    time("not_after"),
    time("end_time", nullable=True),
    column("outcome", Text, nullable=True),
    PrimaryKeyConstraint("workspace", "session", "action", "number"),
)
"""Each time that an action is sent, written before it is: `not_after` is when the sender has given
up for certain; without an `end_time` it isn't known what became of it. `outcome` is `succeeded`,
`failed`, `unsent` or `refused` (certainly nothing left here), or `cut off`."""

connectors = Table(
    "connectors",
    metadata,
    uuid("workspace"),
    *(column(name, Text) for name in ("id", "action_type", "title")),
    *(column(name, Text) for name in ("description", "expected_outcome")),
    column("risk", SmallInteger),
    column("http", JSONB),
    column("revision", Integer),
    column("version", Integer),
    time("create_time"),
    time("update_time"),
    PrimaryKeyConstraint("workspace", "id"),
    Index("connectors_action_type", "workspace", "action_type", unique=True),
)
"""`http` is an HttpRequest, as JSON, so that the audit tells what was changed in it."""
