"""The tables of guide entries and of their versions.

Which of them is in use is decided in `server.domain.guide_entry_state`.
"""

from typing import Any

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
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from server.store.tables.columns import column, metadata, time, uuid

IN_USE = text("approved > 0 AND NOT deleted")
"""The guide entries of which a version is in use: few, beside all that are drafted."""


def _guide_entry_columns() -> list[Column[Any]]:
    """What a guide entry and each of its versions have in common."""
    texts = ("title", "content", "root_cause")
    resolution = ("resolution_steps", "resolution_code", "resolution_notes")
    sources = ("source_exception", "source_run")
    return [
        uuid("workspace"),
        *(column(name, Text) for name in ("id", "automation", *texts, *resolution, *sources)),
        column("state", SmallInteger),
        *(column(name, Integer) for name in ("major", "minor", "approved")),
        column("action_type", Text),
        column("action_parameters", JSONB),
        column("action_risk", SmallInteger),
        column("self_resolving", Boolean),
        column("connector", Text),
        column("connector_revision", Integer),
        column("fingerprint", LargeBinary, nullable=True),
        time("create_time"),
        time("update_time"),
    ]


guide_entries = Table(
    "guide_entries",
    metadata,
    *_guide_entry_columns(),
    column("deleted", Boolean),
    column("version", Integer),
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
