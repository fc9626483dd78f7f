"""The SQL that only exceptions need: raising one, and finding the one that is pending.

What their columns mean is said in `resources/exception.py`.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import (
    CTE,
    ColumnElement,
    Text,
    and_,
    bindparam,
    case,
    cast,
    column,
    func,
    literal_column,
    select,
    true,
)
from sqlalchemy.dialects.postgresql import JSON, Insert, insert
from sqlalchemy.types import TypeEngine

from server.store.changes import recorded
from server.store.counts import count_all_raised, count_raised
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


def raise_all_statement(written: Sequence[str], columns: Sequence[str]) -> Query:
    """Inserts exceptions, or counts one more occurrence of their pending twins; answers the rows.

    They come in the order in which they are given, by `raise_all_parameters`; no two of them may
    be the same one. One without an assignee gets that of its group, if it has one. Recorded: of a
    twin only its count is known as it was before.
    """
    names = [name for name in written if name != "workspace"]
    rows = func.json_to_recordset(cast(bindparam("raised", type_=Text), JSON)).table_valued(
        *(column(name, _type(name)) for name in names)
    )
    given = rows.render_derived("given", with_types=True).c
    workspace = bindparam("workspace", type_=_type("workspace"))
    values: dict[str, Any] = {"workspace": workspace, **given}
    values["assignee"] = _assignee(values)
    rows_given = select(*values.values())
    statement = insert(exceptions).from_select(list(values), rows_given)
    row, change = _raised(statement)
    count = count_all_raised(row).cte("count")
    return Query(select(*read_columns(row, columns)).add_cte(change, count))


def raise_all_parameters(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Columns of exceptions of one workspace."""
    names = rows[0].keys() - {"workspace", "identity"}
    raised = [
        {"identity": f"\\x{row['identity'].hex()}", **{name: row[name] for name in names}}
        for row in rows
    ]
    return {
        "workspace": rows[0]["workspace"],
        "raised": json.dumps(raised),
    }


def raise_and_tell_statement(written: Sequence[str], columns: Sequence[str], given: Given) -> Query:
    """The same of one exception, given by its columns, and appends events about it to a thread.

    Of a twin the first one says how often it was raised, of a new one whom its group gave it to.
    """
    values: dict[str, Any] = {name: bindparam(name, type_=_type(name)) for name in written}
    values["assignee"] = _assignee(values)
    row, change = _raised(insert(exceptions).values(values))
    count = count_raised(row).cte("count")
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


def _raised(statement: Insert) -> tuple[CTE, CTE]:
    """The rows that are inserted, or raised again, and the record of their changes."""
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


def _assignee(given: Mapping[str, ColumnElement[Any]]) -> ColumnElement[str]:
    """The one that is given, or else, for an exception of a group, the group's."""
    assignee, group = given["assignee"], given["group"]
    default = select(exception_groups.c.default_assignee).where(
        exception_groups.c.workspace == given["workspace"], exception_groups.c.id == group
    )
    is_open = and_(assignee == _EMPTY, group != _EMPTY)
    return case((is_open, func.coalesce(default.scalar_subquery(), _EMPTY)), else_=assignee)


def _type(name: str) -> TypeEngine[Any]:
    return exceptions.c[name].type


def _text(text: str) -> ColumnElement[str]:
    """As a literal; as a parameter it would be sent with every call."""
    return literal_column(f"'{text}'")
