"""The SQL that only exceptions need: raising one, and finding the one that is pending.

What their columns mean is said in `resources/exception.py`.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import orjson
from sqlalchemy import (
    CTE,
    ColumnElement,
    Integer,
    Text,
    and_,
    bindparam,
    case,
    cast,
    column,
    func,
    literal_column,
    null,
    select,
    true,
)
from sqlalchemy.dialects.postgresql import JSON, Insert, insert
from sqlalchemy.types import TypeEngine

from server.store.changes import (
    OF_CALL,
    PREFIX,
    Caller,
    current_caller,
    current_caller_of,
    recorded,
)
from server.store.counts import count_all_raised, count_raised
from server.store.events import GIVEN, appended, appended_to_all, one_given
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

RAISED = (
    *("workspace", "id", "automation", "run", "start_byte", "end_byte", "message"),
    *("execution_id", "stage", "identity", "state", "group", "assignee", "extra"),
)
"""The columns that are given of an exception that is raised."""

_TWIN: dict[str, Any] = {"index_elements": ["workspace", "identity"], "index_where": PENDING}

_PATIENCE_MS = 100
"""How long the calls of a group wait for a lock of somebody else, who nearly always has it for a
few milliseconds: it would be only one of them that waits, if each were alone."""

_ONE: ColumnElement[int] = literal_column("1")  # as a parameter it would be sent with every call
_EMPTY: ColumnElement[str] = literal_column("''")

RAISED_AGAIN = "Raised again, %s times by now."
ASSIGNED_BY_GROUP = "\n\nAssigned to %s, the default of its group."


def raise_all_statement(columns: Sequence[str]) -> Query:
    """Inserts exceptions, or counts one more occurrence of their pending twins, and appends what is
    said about them to threads; answers the rows.

    They come in the order in which they are given, by `raise_all_parameters`; no two of them may
    be the same one. One without an assignee gets that of its group, if it has one. Recorded: of a
    twin only its count is known as it was before; the first one's change has the request's id.
    """
    first = bindparam("first", type_=_type("identity"))
    row, change = _raised(
        _insert_all(),
        lambda row: current_caller_of(row, is_first=row.c.identity == first),
    )
    return _told_to_all(row, change, columns)


def raise_new_statement(columns: Sequence[str]) -> Query:
    """The same of exceptions that several calls raise, by `raise_new_parameters`: leaves out those
    that have a pending twin, and so doesn't wait for whoever is changing one.

    It is undone where somebody holds another row that it needs, which is that of a thread, or of
    a twin that will be pending or no more.
    """
    calls = _given("calls", {"identity": _type("identity"), **OF_CALL})
    row, change = recorded(
        _insert_all(_has_no_twin, _is_impatient).on_conflict_do_nothing(**_TWIN),
        "workspace",
        caller=lambda row: Caller(
            {name: calls[name] for name in OF_CALL}, calls.identity == row.c.identity
        ),
    )
    return _told_to_all(row, change, columns)


def raise_all_parameters(
    rows: Sequence[Mapping[str, Any]], said: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    """Columns of exceptions of one workspace, and of events, in the order of their threads.

    Each event has the `identity` of what it is about and the `thread`'s name; the one that says
    that an exception was raised has, as `asked`, the assignee that was asked for.
    """
    return {**_parameters(rows, said), "first": rows[0]["identity"]}


def raise_new_parameters(
    rows: Sequence[Mapping[str, Any]],
    said: Sequence[Mapping[str, Any]],
    recordings: Sequence[Mapping[str, Any]],
) -> dict[str, Any]:
    """The same, and the `change_parameters` of each row's call."""
    calls = [
        {
            "identity": row["identity"],
            **{name: recording[f"{PREFIX}{name}"] for name in OF_CALL},
        }
        for row, recording in zip(rows, recordings, strict=True)
    ]
    collection = f"{PREFIX}collection"
    return {
        **_parameters(rows, said),
        "calls": _as_json(calls),
        collection: recordings[0][collection],
    }


def raise_and_tell_statement(columns: Sequence[str]) -> Query:
    """The same of one exception, given by its columns, and one event; much cheaper to send."""
    values: dict[str, Any] = {name: bindparam(name, type_=_type(name)) for name in RAISED}
    asked = values["assignee"]
    values["assignee"] = _assignee(values)
    row, change = _raised(insert(exceptions).values(values))
    count = count_raised(row).cte("count")
    given = one_given()
    told = {"exception": row.c.id, "text": _told(row, asked, given.columns["text"])}
    _, rows = appended(row.c.workspace, given._replace(columns={**given.columns, **told}))
    return Query(select(*read_columns(row, columns)).add_cte(change, count, rows.cte("event")))


def _insert_all(*which: Callable[[Mapping[str, Any]], ColumnElement[bool]]) -> Insert:
    values: dict[str, Any] = {
        "workspace": bindparam("workspace", type_=_type("workspace")),
        **_given("raised", {name: _type(name) for name in RAISED if name != "workspace"}),
    }
    rows = select(*{**values, "assignee": _assignee(values)}.values())
    chosen = rows.where(*(each(values) for each in which))
    return insert(exceptions).from_select(list(values), chosen)


def _has_no_twin(given: Mapping[str, Any]) -> ColumnElement[bool]:
    """DO NOTHING alone would wait for one that is being changed.

    NOT EXISTS would be a join, of all that is pending as long as the plan is of a small table.
    """
    twin = exceptions.alias("twin")
    found = select(_ONE).where(
        twin.c.workspace == given["workspace"], twin.c.identity == given["identity"], PENDING
    )
    return found.scalar_subquery().is_(null())


def _is_impatient(_: Mapping[str, Any]) -> ColumnElement[bool]:
    """True; from the first row on, the transaction waits for no lock for longer."""
    limit = _text("lock_timeout"), _text(str(_PATIENCE_MS))
    return func.set_config(*limit, true()).is_not(null())


def _told_to_all(row: CTE, change: CTE, columns: Sequence[str]) -> Query:
    count = count_all_raised(row).cte("count")
    workspace = bindparam("workspace", type_=_type("workspace"))
    event = appended_to_all(workspace, _said(row)).cte("event")
    return Query(select(*read_columns(row, columns)).add_cte(change, count, event))


def _parameters(
    rows: Sequence[Mapping[str, Any]], said: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    events = [{**event, "number": number} for number, event in enumerate(said)]
    return {
        "workspace": rows[0]["workspace"],
        "raised": _as_json(rows),
        "events": _as_json(events),
    }


def _as_json(rows: Sequence[Mapping[str, Any]]) -> str:
    return orjson.dumps(rows, _as_text).decode()


def _given(parameter: str, types: Mapping[str, TypeEngine[Any]]) -> Any:
    """The columns of a parameter that is an array of objects, as JSON."""
    columns = (column(name, kind) for name, kind in types.items())
    array = cast(bindparam(parameter, type_=Text), JSON)
    rows = func.json_to_recordset(array).table_valued(*columns)
    return rows.render_derived(parameter, with_types=True).c


def _as_text(value: bytes) -> str:
    return f"\\x{value.hex()}"


def _said(row: CTE) -> CTE:
    """The events of `raise_all_parameters`, about the rows."""
    of_place = {"identity": _type("identity"), "thread": Text(), "number": Integer()}
    said = _given("events", {**of_place, "asked": Text(), **GIVEN})
    columns = {**said, "exception": row.c.id, "text": _told(row, said.asked, said.text)}
    labelled = [each.label(name) for name, each in columns.items()]
    return select(*labelled).where(said.identity == row.c.identity).cte("said")


def _told(row: CTE, asked: ColumnElement[str], text: ColumnElement[str]) -> ColumnElement[str]:
    """What is said of a new one, and whom its group gave it to, or how often it was raised.

    Where nothing is `asked`, which is NULL, it is another event, and its text stays.
    """
    again = func.format(_text(RAISED_AGAIN), row.c.occurrence_count)
    assigned = text + func.format(_text(ASSIGNED_BY_GROUP), row.c.assignee)
    is_again = and_(asked.is_not(None), row.c.occurrence_count > _ONE)
    return case((is_again, again), (row.c.assignee != asked, assigned), else_=text)


def _raised(statement: Insert, caller: Callable[[CTE], Caller] = current_caller) -> tuple[CTE, CTE]:
    """The rows that are inserted, or raised again, and the record of their changes."""
    now = func.greatest(exceptions.c.update_time, func.statement_timestamp())
    statement = statement.on_conflict_do_update(
        **_TWIN,
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
        caller=caller,
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
