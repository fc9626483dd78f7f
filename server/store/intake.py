"""The SQL of exceptions that no worker has read yet: finding them, and keeping what one made of it.

What is made of them is said in `operations/intake.py`.
"""

from collections.abc import Sequence

from sqlalchemy import LargeBinary, Text, bindparam, func, literal_column, select, text, update
from sqlalchemy.dialects.postgresql import UUID

from server.store.changes import recorded
from server.store.query import Query
from server.store.statements import read_columns
from server.store.tables import UNREAD, exceptions, workspaces

_BATCH = 100


def unread_statement(columns: Sequence[str]) -> Query:
    """The newest exceptions that nobody has read, of whatever workspace, locked; others' are left
    out, so that many workers read more.

    Uid, organization and id of the workspace, whether it was raised within the last hour, and the
    columns. What was imported waits for what has just happened.
    """
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
        .join(workspaces, workspaces.c.uid == c.workspace)
        .where(UNREAD)
        .order_by(c.create_time.desc())
        .limit(literal_column(str(_BATCH)))
        .with_for_update(of=exceptions, skip_locked=True)
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
