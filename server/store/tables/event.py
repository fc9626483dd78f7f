"""The tables of threads, and of the events in them.

Who may append, and when, is in `server.store.events`.
"""

from sqlalchemy import (
    BigInteger,
    Column,
    Identity,
    Index,
    LargeBinary,
    PrimaryKeyConstraint,
    SmallInteger,
    Table,
    Text,
    text,
)

from server.store.tables.columns import column, metadata, time, uuid

STREAMING = text("state = 1")
"""The events that are being generated; 1 is Event.STATE_STREAMING."""

threads = Table(
    "threads",
    metadata,
    uuid("workspace"),
    Column("id", BigInteger, Identity(always=True), nullable=False),
    column("name", Text),
    column("last", BigInteger),
    time("last_time"),
    column("cancelled_through", BigInteger),
    column("pruned_through", BigInteger),
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
    uuid("workspace"),
    column("thread", BigInteger),
    column("id", BigInteger),
    column("completed", BigInteger, nullable=True),
    column("state", SmallInteger),
    column("kind", SmallInteger),
    column("exception", Text),
    column("text", Text),
    column("details", LargeBinary),
    time("create_time"),
    time("update_time"),
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
    uuid("workspace"),
    column("thread", BigInteger),
    column("sequence", BigInteger),
    column("event", BigInteger),
    column("text", Text),
    PrimaryKeyConstraint("workspace", "thread", "sequence"),
)
"""What was added to the text of an event that is being generated; gone when it is whole."""
