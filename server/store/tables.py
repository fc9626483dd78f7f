"""The tables as SQLAlchemy sees them; the migrations make them and a test holds the two together.

Every key starts with the workspace, so that the tables can be spread by it.
"""

from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    Sequence,
    SmallInteger,
    Table,
    Text,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSON, JSONB, TIMESTAMP, UUID
from sqlalchemy.types import UserDefinedType

PENDING = text("state = 1")
"""The exceptions of which there is only one for each identity; 1 is EXCEPTION_STATE_PENDING."""

UNREAD = text("fingerprint IS NULL")
"""The exceptions that no worker has looked at yet."""

ACTIVE_SESSION = text("state <= 4 AND exception <> ''")
"""The sessions of which an exception has only one: those that aren't final."""

IN_USE = text("approved > 0 AND NOT deleted")
"""The guide entries of which a version is in use: few, beside all that are drafted."""

DUE_SESSION = text("due_time IS NOT NULL")

MASKED = "masked"
"""Marks a column that the change record must not have."""

exception_numbers = Sequence("exception_numbers", data_type=Integer)
session_numbers = Sequence("session_numbers", data_type=Integer)


class TransactionId(UserDefinedType[str]):
    """PostgreSQL's xid8: 64 bits, never reused within a cluster."""

    cache_ok = True

    def get_col_spec(self, **_: Any) -> str:
        return "XID8"


def _column(name: str, kind: Any, *, nullable: bool = False, **options: Any) -> Column[Any]:
    return Column(name, kind, nullable=nullable, **options)


def _uuid(name: str) -> Column[Any]:
    return _column(name, UUID(as_uuid=False))


def _time(name: str, *, nullable: bool = False) -> Column[Any]:
    return _column(name, TIMESTAMP(timezone=True), nullable=nullable)


metadata = MetaData()

clusters = Table(
    "clusters",
    metadata,
    _column("epoch", Integer),
    _column("system_identifier", BigInteger),
    _time("begin_time"),
    PrimaryKeyConstraint("epoch"),
)

workspaces = Table(
    "workspaces",
    metadata,
    _uuid("uid"),
    _column("organization", Text),
    _column("id", Text),
    _column("title", Text),
    _column("features", ARRAY(Text)),
    _column("version", Integer),
    _time("create_time"),
    _time("update_time"),
    PrimaryKeyConstraint("uid"),
    Index("workspaces_name", "organization", "id", unique=True),
    Index("workspaces_newest", "organization", "create_time", "id"),
)

members = Table(
    "members",
    metadata,
    _uuid("workspace"),
    _column("id", Text),
    _column("title", Text),
    _column("role", SmallInteger),
    _column("version", Integer),
    _time("create_time"),
    _time("update_time"),
    PrimaryKeyConstraint("workspace", "id"),
    Index("members_principal", "id"),
)
"""`id` is that of the user."""

access_tokens = Table(
    "access_tokens",
    metadata,
    _uuid("workspace"),
    _column("id", Text),
    _column("digest", LargeBinary, info={MASKED: True}),
    _column("principal", Text),
    _column("title", Text),
    _column("role", SmallInteger),
    _column("all_workspaces", Boolean),
    _time("expire_time", nullable=True),
    _column("revoked", Boolean),
    _time("last_use_time", nullable=True),
    _column("version", Integer),
    _time("create_time"),
    _time("update_time"),
    PrimaryKeyConstraint("workspace", "id"),
    Index("access_tokens_digest", "digest", unique=True),
)
"""`principal` is the id of its user."""

exceptions = Table(
    "exceptions",
    metadata,
    _uuid("workspace"),
    _column("id", Text),
    _column("number", Integer),
    _column("automation", Text),
    _column("run", Text),
    _column("start_byte", BigInteger),
    _column("end_byte", BigInteger),
    _column("message", Text),
    _column("execution_id", Text),
    _column("stage", SmallInteger),
    _column("identity", LargeBinary),
    _column("state", SmallInteger),
    _column("description", Text),
    _column("group", Text),
    _column("assignee", Text),
    _column("resolver", Text),
    _column("resolution_guide_entry", Text),
    _column("resolution_note", Text),
    _column("extra", JSONB),
    _column("occurrence_count", Integer),
    _time("last_occurrence_time"),
    _column("version", Integer),
    _time("create_time"),
    _time("update_time"),
    _column("fingerprint", LargeBinary, nullable=True),
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


def _guide_entry_columns() -> list[Column[Any]]:
    """What a guide entry and each of its versions have in common."""
    texts = ("title", "content", "root_cause")
    resolution = ("resolution_steps", "resolution_code", "resolution_notes")
    sources = ("source_exception", "source_run")
    return [
        _uuid("workspace"),
        *(_column(name, Text) for name in ("id", "automation", *texts, *resolution, *sources)),
        _column("state", SmallInteger),
        *(_column(name, Integer) for name in ("major", "minor", "approved")),
        _column("action_type", Text),
        _column("action_parameters", JSONB),
        _column("action_risk", SmallInteger),
        _column("self_resolving", Boolean),
        _column("connector", Text),
        _column("connector_revision", Integer),
        _column("fingerprint", LargeBinary, nullable=True),
        _time("create_time"),
        _time("update_time"),
    ]


guide_entries = Table(
    "guide_entries",
    metadata,
    *_guide_entry_columns(),
    _column("deleted", Boolean),
    _column("version", Integer),
    PrimaryKeyConstraint("workspace", "id"),
    Index("guide_entries_newest", "workspace", "create_time", "id"),
    Index("guide_entries_automation", "workspace", "automation", "create_time", "id"),
    Index(
        "guide_entries_fingerprint",
        *("workspace", "fingerprint", "create_time", "id"),
        postgresql_where=IN_USE,
    ),
    Index(
        "guide_entries_in_use",
        *("workspace", "create_time", "id"),
        postgresql_where=IN_USE,
    ),
    Index(
        "guide_entries_automation_in_use",
        *("workspace", "automation", "create_time", "id"),
        postgresql_where=IN_USE,
    ),
)
"""Each in its newest version. `approved` is the major of the version in use, 0 if there is none.

`state` is what it is beside `deleted`; what is deleted doesn't change until it is undeleted.
"""

guide_entry_revisions = Table(
    "guide_entry_revisions",
    metadata,
    *_guide_entry_columns(),
    PrimaryKeyConstraint("workspace", "id", "major", "minor"),
)
"""All versions, the newest too, each as it last stood."""

exception_groups = Table(
    "exception_groups",
    metadata,
    _uuid("workspace"),
    _column("id", Text),
    _column("default_assignee", Text),
    _column("version", Integer),
    _time("update_time"),
    PrimaryKeyConstraint("workspace", "id"),
)
"""What can be changed about a workspace's groups; all of them have a row."""

exception_counts = Table(
    "exception_counts",
    metadata,
    _uuid("workspace"),
    _column("automation", Text),
    _column("group", Text),
    _column("state", SmallInteger),
    _column("stage", SmallInteger),
    _column("n", BigInteger),
    PrimaryKeyConstraint("workspace", "automation", "group", "state", "stage"),
)
"""How many exceptions there are of each kind, but for what `exception_count_deltas` adds to it."""

exception_day_counts = Table(
    "exception_day_counts",
    metadata,
    _uuid("workspace"),
    _column("day", Integer),
    _column("state", SmallInteger),
    _column("n", BigInteger),
    PrimaryKeyConstraint("workspace", "day", "state"),
)
"""The same by the day, of UTC, on which they were first raised, in days since 1970."""

exception_count_deltas = Table(
    "exception_count_deltas",
    metadata,
    _uuid("workspace"),
    Column("id", BigInteger, Identity(always=True), nullable=False),
    _column("automation", Text),
    _column("group", Text),
    _column("state", SmallInteger),
    _column("stage", SmallInteger),
    _column("n", SmallInteger),
    _column("day", Integer),
    PrimaryKeyConstraint("workspace", "id"),
)
"""How many exceptions of a kind a change made more, or less."""

agent_starts = Table(
    "agent_starts",
    metadata,
    _column("principal", Text),
    _column("times", ARRAY(TIMESTAMP(timezone=True))),
    PrimaryKeyConstraint("principal"),
)
"""When each principal, in whatever workspaces, has begun agent work; at least the last hour's."""

agent_sessions = Table(
    "agent_sessions",
    metadata,
    _uuid("workspace"),
    _column("id", Text),
    _column("number", Integer),
    *(_column(name, Text) for name in ("exception", "automation", "run")),
    _column("signal", LargeBinary),
    _column("agent", Text),
    _column("creator", Text),
    _column("start", SmallInteger),
    _column("state", SmallInteger),
    _column("analysis", LargeBinary),
    _column("error", Text),
    _column("note", Text),
    _column("kind", SmallInteger),
    _column("title", Text),
    _column("context", LargeBinary),
    _column("summary", Text),
    _column("prompt_token_count", BigInteger),
    _column("completion_token_count", BigInteger),
    _time("expire_time", nullable=True),
    _time("end_time", nullable=True),
    _column("version", Integer),
    _time("create_time"),
    _time("update_time"),
    Column("due_time", TIMESTAMP(timezone=True), info={MASKED: True}),
    Column("lease", UUID(as_uuid=False), info={MASKED: True}),
    Column("lease_until", TIMESTAMP(timezone=True), info={MASKED: True}),
    Column("attempts", SmallInteger, nullable=False, info={MASKED: True}),
    Column("analyse_until", TIMESTAMP(timezone=True), info={MASKED: True}),
    Column("answered", BigInteger, nullable=False, info={MASKED: True}),
    PrimaryKeyConstraint("workspace", "id"),
    Index("agent_sessions_newest", "workspace", "create_time", "id"),
    Index("agent_sessions_state", "workspace", "state", "create_time", "id"),
    Index("agent_sessions_exception", "workspace", "exception", "create_time", "id"),
    Index(
        "agent_sessions_active",
        *("workspace", "exception"),
        unique=True,
        postgresql_where=ACTIVE_SESSION,
    ),
    Index("agent_sessions_due", "workspace", "due_time", postgresql_where=DUE_SESSION),
    # Workers take from all workspaces: the longest due are found without asking each of them.
    Index("agent_sessions_longest_due", "due_time", postgresql_where=DUE_SESSION),
)
"""A session, and who works on it. `signal`, `analysis` and `context` are serialised messages, empty
if there is none; `exception`, `automation` and `run` are ids, empty if it is about no exception;
`note` is that of who approved.

`due_time` is when a worker has to look at it: every session that isn't final has one, and one that
is, as long as an action of it is EXECUTING. `lease` is the worker's that does, until `lease_until`;
`attempts` is how often it was taken without getting anywhere; an analysis, or an answer, that has
begun must be over by `analyse_until`, whoever goes on with it. All of these are database time. Of a
chat, `answered` is the event of the last message that was.
"""

actions = Table(
    "actions",
    metadata,
    _uuid("workspace"),
    *(_column(name, Text) for name in ("session", "id", "exception", "action_type")),
    _column("automated", Boolean),
    _column("risk", SmallInteger),
    _column("state", SmallInteger),
    _column("state_reason", Text),
    _column("connector", Text),
    _column("connector_revision", Integer),
    *(_column(name, Text) for name in ("guide_entry", "replaces", "digest", "approver")),
    _time("approve_time", nullable=True),
    _column("content", LargeBinary),
    _column("result", LargeBinary),
    _column("version", Integer),
    _time("create_time"),
    _time("update_time"),
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
    _uuid("workspace"),
    *(_column(name, Text) for name in ("session", "action")),
    _column("number", Integer),
    _uuid("lease"),
    _time("send_time"),
    _time("not_after"),
    _time("end_time", nullable=True),
    _column("outcome", Text, nullable=True),
    PrimaryKeyConstraint("workspace", "session", "action", "number"),
)
"""Each time that an action is sent, written before it is: `not_after` is when the sender has given
up for certain; without an `end_time` it isn't known what became of it. `outcome` is `succeeded`,
`failed`, `unsent` (certainly nothing left here), or `cut off`."""

session_steps = Table(
    "session_steps",
    metadata,
    _uuid("workspace"),
    *(_column(name, Text) for name in ("session", "key")),
    _column("result", JSONB),
    _time("create_time"),
    PrimaryKeyConstraint("workspace", "session", "key"),
)
"""The steps of a session that are done, each with what came of it: none is done twice."""

connectors = Table(
    "connectors",
    metadata,
    _uuid("workspace"),
    *(_column(name, Text) for name in ("id", "action_type", "title")),
    *(_column(name, Text) for name in ("description", "expected_outcome")),
    _column("risk", SmallInteger),
    _column("http", JSONB),
    _column("revision", Integer),
    _column("version", Integer),
    _time("create_time"),
    _time("update_time"),
    PrimaryKeyConstraint("workspace", "id"),
    Index("connectors_action_type", "workspace", "action_type", unique=True),
)
"""`http` is an HttpRequest, as JSON, so that the audit tells what was changed in it."""

changes = Table(
    "changes",
    metadata,
    _uuid("workspace"),
    Column("id", BigInteger, Identity(always=True), nullable=False),
    _column("epoch", Integer),
    _column("xid", TransactionId()),
    _column("principal", Text),
    _column("method", Text),
    _column("request_id", Text, nullable=True),
    _column("body_digest", LargeBinary, nullable=True),
    _column("resource", Text),
    _column("before", JSONB, nullable=True),
    _column("after", JSONB),
    _time("create_time"),
    PrimaryKeyConstraint("workspace", "id"),
    Index("changes_committed", "workspace", "epoch", "xid", "id"),
    _column("token", Text),
    _column("address", Text),
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
    _uuid("workspace"),
    _column("epoch", Integer),
    _column("xid", TransactionId()),
    _column("id", BigInteger),
    PrimaryKeyConstraint("workspace"),
)
"""The last change of each workspace that is no longer kept."""


def _audited_columns() -> list[Column[Any]]:
    """What an audit entry says, and what is to become one."""
    who, what = ("principal", "token", "address"), ("method", "resource", "outcome")
    return [
        *(_column(name, Text) for name in ("type", *who, *what)),
        _column("count", Integer),
        _column("before", JSON, nullable=True),
        _column("after", JSON, nullable=True),
        _time("create_time"),
    ]


audit_entries = Table(
    "audit_entries",
    metadata,
    _uuid("workspace"),
    _column("id", BigInteger),
    *_audited_columns(),
    _column("hash", LargeBinary),
    PrimaryKeyConstraint("workspace", "id"),
    Index("audit_entries_principal", "workspace", "principal", "id"),
    Index("audit_entries_resource", "workspace", "resource", "id"),
)
"""A chain for each workspace; `id` counts from 1 without a gap. `before` and `after` are json, not
jsonb: they stay the text that was hashed."""

audit_seals = Table(
    "audit_seals",
    metadata,
    _uuid("workspace"),
    _column("id", BigInteger),
    _column("hash", LargeBinary),
    _column("epoch", Integer),
    _column("xid", TransactionId()),
    _column("change", BigInteger),
    _time("create_time"),
    PrimaryKeyConstraint("workspace", "id"),
)
"""One for each batch that was sealed: its last entry, and the last change that is in the chain."""

pruned_audit_entries = Table(
    "pruned_audit_entries",
    metadata,
    _uuid("workspace"),
    _column("id", BigInteger),
    _column("hash", LargeBinary),
    _time("prune_time"),
    PrimaryKeyConstraint("workspace"),
)
"""The last entry of each workspace that is no longer kept: the chain goes on from its hash."""

REFUSED = text("type = 'call.refused'")

pending_audit_entries = Table(
    "pending_audit_entries",
    metadata,
    _uuid("workspace"),
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

STREAMING = text("state = 1")
"""The events that are being generated; 1 is Event.STATE_STREAMING."""

threads = Table(
    "threads",
    metadata,
    _uuid("workspace"),
    Column("id", BigInteger, Identity(always=True), nullable=False),
    _column("name", Text),
    _column("last", BigInteger),
    _time("last_time"),
    _column("cancelled_through", BigInteger),
    _column("pruned_through", BigInteger),
    PrimaryKeyConstraint("workspace", "id"),
    Index("threads_name", "workspace", "name", unique=True),
)
"""The logs that events are appended to. `name` is without the workspace's.

Whatever is appended is given the next sequence, `last`, under the lock of this row, so that what
is committed later has a higher one. `cancelled_through`: what began up to there was to be stopped.
`pruned_through`: what became whole up to there may be gone.
"""

events = Table(
    "events",
    metadata,
    _uuid("workspace"),
    _column("thread", BigInteger),
    _column("id", BigInteger),
    _column("completed", BigInteger, nullable=True),
    _column("state", SmallInteger),
    _column("kind", SmallInteger),
    _column("exception", Text),
    _column("text", Text),
    _column("details", LargeBinary),
    _time("create_time"),
    _time("update_time"),
    PrimaryKeyConstraint("workspace", "thread", "id"),
    Index("events_completed", "workspace", "thread", "completed", unique=True),
    Index("events_streaming", "workspace", "thread", postgresql_where=STREAMING),
)
"""`id` is the sequence at which an event began, `completed` the one at which it became whole.

`text` is what grows while an event is generated; until it is whole, the rest of it stands in
`event_chunks`. `details` is the content without it, as a serialised Event.
"""

event_chunks = Table(
    "event_chunks",
    metadata,
    _uuid("workspace"),
    _column("thread", BigInteger),
    _column("sequence", BigInteger),
    _column("event", BigInteger),
    _column("text", Text),
    PrimaryKeyConstraint("workspace", "thread", "sequence"),
)
"""What was added to the text of an event that is being generated; gone when it is whole."""
