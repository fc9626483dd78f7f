"""The SQL of exceptions that no worker has read yet: finding them, and keeping what one made of it.

What is made of them is said in `operations/intake.py`.
"""

from collections.abc import Sequence

from sqlalchemy import LargeBinary, Text, bindparam, func, select, text, update
from sqlalchemy.dialects.postgresql import UUID

from server.store.changes import recorded
from server.store.query import Query
from server.store.statements import read_columns
from server.store.tables import UNREAD, exceptions, workspaces

_BATCH = 100

_BUSY = """
    WITH RECURSIVE busy (workspace) AS (
        (SELECT workspace FROM exceptions WHERE fingerprint IS NULL ORDER BY workspace LIMIT 1)
        UNION ALL
        SELECT (
            SELECT next.workspace FROM exceptions AS next
            WHERE next.fingerprint IS NULL AND next.workspace > busy.workspace
            ORDER BY next.workspace LIMIT 1
        )
        FROM busy WHERE busy.workspace IS NOT NULL
    )
    SELECT found.workspace, found.id FROM busy CROSS JOIN LATERAL (
        SELECT workspace, id, create_time FROM exceptions
        WHERE workspace = busy.workspace AND fingerprint IS NULL
        ORDER BY create_time DESC LIMIT :most
    ) AS found
    ORDER BY found.create_time DESC LIMIT :most
"""
"""The newest first, of whatever workspace: what was imported waits for what has just happened."""

STANDING = Query(
    text(
        """
        SELECT given.id
        FROM unnest(
            CAST(:workspaces AS uuid[]), CAST(:ids AS text[]), CAST(:automations AS text[]),
            CAST(:fingerprints AS bytea[])
        ) AS given (workspace, id, automation, fingerprint)
        WHERE EXISTS (
            SELECT FROM guide_entries AS entry
            JOIN guide_entry_revisions AS used ON used.workspace = entry.workspace
                AND used.id = entry.id AND used.major = entry.approved AND used.minor = 0
            WHERE entry.workspace = given.workspace AND entry.automation = given.automation
                AND entry.fingerprint = given.fingerprint AND entry.approved > 0
                AND NOT entry.deleted AND used.self_resolving
        )
        """
    )
)
"""Of the exceptions given, those that a guide entry in use may resolve by itself."""


def unread_statement(columns: Sequence[str]) -> Query:
    """Some exceptions that nobody has read: uid, organization and id of the workspace, whether they
    were raised within the last hour, and the columns."""
    chosen = text(_BUSY).bindparams(most=_BATCH).columns(workspace=UUID(as_uuid=False), id=Text)
    busy = chosen.cte("chosen")
    c = exceptions.c
    is_new = c.create_time > func.statement_timestamp() - text("interval '1 hour'")
    return Query(
        select(
            c.workspace,
            workspaces.c.organization,
            workspaces.c.id.label("workspace_id"),
            is_new,
            *read_columns(exceptions, columns),
        )
        .select_from(busy)
        .join(exceptions, (c.workspace == busy.c.workspace) & (c.id == busy.c.id))
        .join(workspaces, workspaces.c.uid == c.workspace)
        .where(UNREAD)
    )


def _read() -> Query:
    c = exceptions.c
    key = (
        c.workspace == bindparam("workspace", type_=UUID(as_uuid=False)),
        c.id == bindparam("id", type_=Text),
    )
    free = select(c.id).where(*key, c.fingerprint.is_(None)).with_for_update(skip_locked=True)
    statement = (
        update(exceptions)
        .values(
            fingerprint=bindparam("fingerprint", type_=LargeBinary),
            description=bindparam("description", type_=Text),
        )
        .where(*key, c.id.in_(free))
    )
    before = func.jsonb_build_object("description", "")
    row, change = recorded(statement, "workspace", before=lambda _: before)
    return Query(select(row.c.id).add_cte(change))


READ = _read()
"""Keeps what was made of an exception, unless it was read already, or is locked. Recorded; it is
the same version still."""
