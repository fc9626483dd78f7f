"""The tables of agent sessions, of their steps, and of who began how many.

What they do is in `action`.
"""

from sqlalchemy import (
    BigInteger,
    Column,
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
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, TIMESTAMP, UUID

from server.store.tables.columns import MASKED, column, metadata, time, uuid

ACTIVE_SESSION = text("state <= 4 AND exception <> ''")
"""The sessions of which an exception has only one: those that aren't final."""

DUE_SESSION = text("due_time IS NOT NULL")

session_numbers = Sequence("session_numbers", data_type=Integer)

agent_sessions = Table(
    "agent_sessions",
    metadata,
    uuid("workspace"),
    column("id", Text),
    column("number", Integer),
    *(column(name, Text) for name in ("exception", "automation", "run")),
    column("signal", LargeBinary),
    column("agent", Text),
    column("creator", Text),
    column("start", SmallInteger),
    column("state", SmallInteger),
    column("analysis", LargeBinary),
    column("error", Text),
    column("note", Text),
    column("kind", SmallInteger),
    column("title", Text),
    column("context", LargeBinary),
    column("summary", Text),
    column("prompt_token_count", BigInteger),
    column("completion_token_count", BigInteger),
    time("expire_time", nullable=True),
    time("end_time", nullable=True),
    column("version", Integer),
    time("create_time"),
    time("update_time"),
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

session_steps = Table(
    "session_steps",
    metadata,
    uuid("workspace"),
    *(column(name, Text) for name in ("session", "key")),
    column("result", JSONB),
    time("create_time"),
    PrimaryKeyConstraint("workspace", "session", "key"),
)
"""The steps of a session that are done, each with what came of it: none is done twice."""

agent_starts = Table(
    "agent_starts",
    metadata,
    column("principal", Text),
    column("times", ARRAY(TIMESTAMP(timezone=True))),
    PrimaryKeyConstraint("principal"),
)
"""When each principal, in whatever workspaces, has begun agent work; at least the last hour's."""
