"""The SQL that only exceptions need: raising one, and finding the one that is pending.

What their columns mean is said in `resources/exception.py`.
"""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import (
    CTE,
    ColumnElement,
    Text,
    and_,
    bindparam,
    case,
    func,
    literal_column,
    select,
    true,
)
from sqlalchemy.dialects.postgresql import insert

from server.store.changes import recorded
from server.store.counts import count_raised
from server.store.events import Given, appended
from server.store.query import Query
from server.store.statements import read_columns
from server.store.tables import PENDING, exception_groups, exceptions

PENDING_INDEX = "exceptions_pending"

PENDING_TWIN = Query(
    select(exceptions.c.id).where(
        exceptions.c.workspace == bindparam("workspace"),
        exceptions.c.identity == bindparam("identity"),
        PENDING,
    )
)

_ONE: ColumnElement[int] = literal_column("1")  # as a parameter it would be sent with every call
_EMPTY: ColumnElement[str] = literal_column("''")

RAISED_AGAIN = "Raised again, %s times by now."
ASSIGNED_BY_GROUP = "\n\nAssigned to %s, the default of its group."


def raise_statement(written: Sequence[str], columns: Sequence[str]) -> Query:
    """Inserts an exception, or counts one more occurrence of its pending twin; answers the row.

    One without an assignee gets that of its group, if it has one. Recorded: of a twin only its
    count is known as it was before.
    """
    row, change, count = _raised(written)
    return Query(select(*read_columns(row, columns)).add_cte(change, count))


def raise_and_tell_statement(written: Sequence[str], columns: Sequence[str], given: Given) -> Query:
    """The same, and appends events about it to a thread.

    Of a twin the first one says how often it was raised, of a new one whom its group gave it to.
    """
    row, change, count = _raised(written)
    is_first = true() if given.after is None else given.after == given.number - _ONE
    is_again = and_(is_first, row.c.occurrence_count > _ONE)
    again = func.format(_text(RAISED_AGAIN), row.c.occurrence_count)
    text = given.columns["text"]
    assigned = text + func.format(_text(ASSIGNED_BY_GROUP), row.c.assignee)
    is_assigned = and_(is_first, row.c.assignee != bindparam("assignee", type_=Text))
    told = {
        **given.columns,
        "exception": row.c.id,
        "text": case((is_again, again), (is_assigned, assigned), else_=text),
    }
    _, rows = appended(row.c.workspace, given._replace(columns=told))
    return Query(select(*read_columns(row, columns)).add_cte(change, count, rows.cte("event")))


def _raised(written: Sequence[str]) -> tuple[CTE, CTE, CTE]:
    """The row, the record of its change, and its count."""
    given: dict[str, ColumnElement[Any]] = {name: bindparam(name) for name in written}
    statement = insert(exceptions).values({**given, "assignee": _assignee()})
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
    row, change = recorded(
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
    return row, change, count_raised(row).cte("count")


def _assignee() -> ColumnElement[str]:
    """The one that is given, or else, for an exception of a group, the group's."""
    given, group = (bindparam(name, type_=Text) for name in ("assignee", "group"))
    default = select(exception_groups.c.default_assignee).where(
        exception_groups.c.workspace == bindparam("workspace"), exception_groups.c.id == group
    )
    is_open = and_(given == _EMPTY, group != _EMPTY)
    return case((is_open, func.coalesce(default.scalar_subquery(), _EMPTY)), else_=given)


def _text(text: str) -> ColumnElement[str]:
    """As a literal; as a parameter it would be sent with every call."""
    return literal_column(f"'{text}'")
