"""The SQL that only exceptions need: raising one, and finding the one that is pending.

What their columns mean is said in `resources/exception.py`.
"""

from collections.abc import Sequence

from sqlalchemy import bindparam, case, func, select
from sqlalchemy.dialects.postgresql import insert

from server.store.changes import recorded
from server.store.query import Query
from server.store.statements import read_columns
from server.store.tables import PENDING, exceptions

PENDING_INDEX = "exceptions_pending"

PENDING_TWIN = Query(
    select(exceptions.c.id).where(
        exceptions.c.workspace == bindparam("workspace"),
        exceptions.c.identity == bindparam("identity"),
        PENDING,
    )
)


def raise_statement(written: Sequence[str], columns: Sequence[str]) -> Query:
    """Inserts an exception, or counts one more occurrence of its pending twin; answers the row.

    Recorded: of a twin only its count is known as it was before.
    """
    statement = insert(exceptions).values({name: bindparam(name) for name in written})
    now = func.greatest(exceptions.c.update_time, func.statement_timestamp())
    statement = statement.on_conflict_do_update(
        index_elements=["workspace", "identity"],
        index_where=PENDING,
        set_={
            "occurrence_count": exceptions.c.occurrence_count + 1,
            "last_occurrence_time": now,
            "update_time": now,
        },
    )
    row, change = recorded(
        statement,
        exceptions,
        "workspace",
        before=lambda row: case(
            (
                row.c.occurrence_count > 1,
                func.jsonb_build_object("occurrence_count", row.c.occurrence_count - 1),
            )
        ),
    )
    return Query(select(*read_columns(row, columns)).add_cte(change))
