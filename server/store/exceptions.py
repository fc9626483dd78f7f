"""The SQL that only exceptions need: raising one, and finding the one that is pending.

What their columns mean is said in `resources/exception.py`.
"""

from collections.abc import Sequence

from sqlalchemy import CTE, ColumnElement, and_, bindparam, case, func, literal_column, select
from sqlalchemy.dialects.postgresql import insert

from server.store.changes import recorded
from server.store.events import Given, appended
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

_ONE: ColumnElement[int] = literal_column("1")  # as a parameter it would be sent with every call

RAISED_AGAIN = "Raised again, %s times by now."


def raise_statement(written: Sequence[str], columns: Sequence[str]) -> Query:
    """Inserts an exception, or counts one more occurrence of its pending twin; answers the row.

    Recorded: of a twin only its count is known as it was before.
    """
    row, change = _raised(written)
    return Query(select(*read_columns(row, columns)).add_cte(change))


def raise_and_tell_statement(written: Sequence[str], columns: Sequence[str], given: Given) -> Query:
    """The same, and appends events about it to a thread.

    Of a twin the first one says how often it was raised.
    """
    row, change = _raised(written)
    is_again = row.c.occurrence_count > _ONE
    if given.after is not None:
        is_again = and_(is_again, given.after == given.number - _ONE)
    again = func.format(literal_column(f"'{RAISED_AGAIN}'"), row.c.occurrence_count)
    told = {
        **given.columns,
        "exception": row.c.id,
        "text": case((is_again, again), else_=given.columns["text"]),
    }
    _, rows = appended(row.c.workspace, given._replace(columns=told))
    return Query(select(*read_columns(row, columns)).add_cte(change, rows.cte("event")))


def _raised(written: Sequence[str]) -> tuple[CTE, CTE]:
    statement = insert(exceptions).values({name: bindparam(name) for name in written})
    now = func.greatest(exceptions.c.update_time, func.statement_timestamp())
    statement = statement.on_conflict_do_update(
        index_elements=["workspace", "identity"],
        index_where=PENDING,
        set_={
            "occurrence_count": exceptions.c.occurrence_count + _ONE,
            "last_occurrence_time": now,
            "update_time": now,
        },
    )
    return recorded(
        statement,
        "workspace",
        before=lambda row: case(
            (
                row.c.occurrence_count > _ONE,
                func.jsonb_build_object(
                    literal_column("'occurrence_count'"), row.c.occurrence_count - _ONE
                ),
            )
        ),
    )
