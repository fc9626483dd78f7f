"""The SQL that only exceptions need: raising one, and finding the one that is pending.

What their columns mean is said in `resources/exception.py`.
"""

from collections.abc import Collection
from typing import Any

from sqlalchemy import ColumnElement, bindparam, func, select
from sqlalchemy.dialects.postgresql import insert

from server.store.query import Query
from server.store.tables import PENDING, exceptions

PENDING_INDEX = "exceptions_pending"

PENDING_TWIN = Query(
    select(exceptions.c.id).where(
        exceptions.c.workspace == bindparam("workspace"),
        exceptions.c.identity == bindparam("identity"),
        PENDING,
    )
)


def raise_statement(written: Collection[str], columns: Collection[ColumnElement[Any]]) -> Query:
    """Inserts an exception, or counts one more occurrence of its pending twin; answers the row."""
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
    return Query(statement.returning(*columns))
