"""The SQL of threads and events: finding a thread, appending to it, reading what it holds.

What is generated bit by bit is in `store/generations.py`; what the columns mean, in `resources/`.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import (
    CTE,
    BigInteger,
    ColumnElement,
    FromClause,
    Insert,
    SmallInteger,
    Text,
    bindparam,
    case,
    collate,
    column,
    func,
    insert,
    literal_column,
    select,
)
from sqlalchemy.dialects import postgresql
from sqlalchemy.dialects.postgresql import ARRAY, BYTEA, UUID, aggregate_order_by

from server.domain.errors import NotFound
from server.domain.names import AgentSessionName, ThreadName
from server.store.changes import recorded
from server.store.query import Query
from server.store.statements import read_columns
from server.store.store import Store
from server.store.tables import agent_sessions, event_chunks, events, exceptions, threads

STREAMING, COMPLETE = 1, 2
"""The numbers of Event.STATE_STREAMING and Event.STATE_COMPLETE."""

EVENT_COLUMNS = (
    *("create_time", "update_time", "id", "state", "kind", "exception", "text", "details"),
)
BULKY = ("text", "details")
"""What the change record leaves out: it stands in the log itself, and never changes."""

GIVEN: dict[str, Any] = {
    "kind": SmallInteger(),
    "exception": Text(),
    "text": Text(),
    "details": BYTEA(),
}

_THREAD_ID = Query(
    select(threads.c.id).where(
        threads.c.workspace == bindparam("workspace"), threads.c.name == bindparam("thread_name")
    )
)

_SESSION = Query(
    select(agent_sessions.c.id).where(
        agent_sessions.c.workspace == bindparam("workspace"), agent_sessions.c.id == bindparam("id")
    )
)

RUN_OF_EXCEPTION = Query(
    select(exceptions.c.automation, exceptions.c.run).where(
        exceptions.c.workspace == bindparam("workspace"), exceptions.c.id == bindparam("id")
    )
)


def local_name(thread: ThreadName) -> str:
    """What the table calls a thread: its name without the workspace's."""
    return str(thread).removeprefix(f"{thread.parent}/")


def thread_workspace(store: Store, thread: ThreadName) -> str:
    """The workspace's uid of a thread that callers may read and write. Raises NotFound.

    Any agent of any run has a thread, and every session that there is.
    """
    workspace = store.workspace_key(thread.parent)
    if isinstance(thread, AgentSessionName):
        found = store.database.one(_SESSION, {"workspace": workspace, "id": thread.id})
        if found is None:
            raise NotFound(thread)
    return workspace


def thread_id(store: Store, workspace: str, thread: ThreadName) -> int | None:
    """None before the thread's first event."""
    row = store.database.one(
        _THREAD_ID, {"workspace": workspace, "thread_name": local_name(thread)}
    )
    return None if row is None else int(row[0])


def text_so_far(source: FromClause = events) -> ColumnElement[str]:
    """The text of an event, put together of its chunks while it is being generated."""
    chunk = event_chunks.c
    chunks = (
        select(
            func.string_agg(chunk.text, aggregate_order_by(literal_column("''"), chunk.sequence))
        )
        .where(
            chunk.workspace == source.c.workspace,
            chunk.thread == source.c.thread,
            chunk.sequence > source.c.id,
            chunk.event == source.c.id,
        )
        .correlate(source)
        .scalar_subquery()
    )
    grown = source.c.text + func.coalesce(chunks, literal_column("''"))
    return case((source.c.state == literal_column(str(STREAMING)), grown), else_=source.c.text)


def event_columns(source: FromClause = events) -> list[ColumnElement[Any]]:
    """The columns of EVENT_COLUMNS as they are read; `text` without the chunks."""
    return read_columns(source, EVENT_COLUMNS)


class Given(NamedTuple):
    """Events to append, as SQL: how many, and of each the columns and how many come after it."""

    number: ColumnElement[int]
    columns: Mapping[str, ColumnElement[Any]]
    after: ColumnElement[int] | None = None


def appended(workspace: ColumnElement[str], given: Given) -> tuple[CTE, Insert]:
    """Gives a thread its next sequences, and appends as many complete events to it.

    The row of the thread, named by the parameter `thread_name`, stays locked; it is made with its
    first event. `given` has the columns `kind`, `exception`, `text` and `details`.
    """
    thread = _locked(select(workspace, bindparam("thread_name", type_=Text), given.number))
    sequence = thread.c.last if given.after is None else thread.c.last - given.after
    values = _values(thread, sequence, given.columns)
    return thread, insert(events).from_select(list(values), select(*values.values()))


def appended_to_all(workspace: ColumnElement[str], given: CTE) -> Insert:
    """The same with events of many threads: each has the name of its `thread`, and a `number`.

    The threads are locked in the order of their names, as everywhere.
    """
    names = select(workspace, given.c.thread, func.count()).group_by(given.c.thread)
    thread = _locked(names.order_by(collate(given.c.thread, "C")))
    number = func.row_number().over(partition_by=given.c.thread, order_by=given.c.number.desc())
    sequence = thread.c.last + literal_column("1") - number
    values = _values(thread, sequence, {name: given.c[name] for name in GIVEN})
    rows = select(*values.values()).join_from(thread, given, thread.c.name == given.c.thread)
    return insert(events).from_select(list(values), rows)


def one_given() -> Given:
    """One event, by the parameters of `one_parameters`; much cheaper to send."""
    columns = {name: bindparam(f"event_{name}", type_=kind) for name, kind in GIVEN.items()}
    return Given(literal_column("1"), columns)


def many_given() -> Given:
    """Any number of events, by the parameters of `append_parameters`."""
    arrays = [bindparam(f"event_{name}", type_=ARRAY(kind)) for name, kind in GIVEN.items()]
    names: list[Any] = [column(name, kind) for name, kind in GIVEN.items()]
    rows = func.unnest(*arrays).table_valued(*names, with_ordinality="n").render_derived()
    count = bindparam("event_count", type_=BigInteger)
    return Given(count, {name: rows.c[name] for name in GIVEN}, count - rows.c.n)


def one_parameters(thread_name: str, columns: Mapping[str, Any]) -> dict[str, Any]:
    """What appending one event needs to know beside the workspace."""
    return {"thread_name": thread_name, **{f"event_{name}": columns[name] for name in GIVEN}}


def append_parameters(thread_name: str, columns: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """What appending several events needs to know beside the workspace."""
    given = {f"event_{name}": [each[name] for each in columns] for name in GIVEN}
    return {"thread_name": thread_name, "event_count": len(columns), **given}


def _values(
    thread: CTE, sequence: ColumnElement[int], columns: Mapping[str, ColumnElement[Any]]
) -> dict[str, Any]:
    return {
        "workspace": thread.c.workspace,
        "thread": thread.c.id,
        "id": sequence,
        "completed": sequence,
        "state": literal_column(str(COMPLETE)),
        **columns,
        "create_time": thread.c.last_time,
        "update_time": thread.c.last_time,
    }


def _locked(counts: Any) -> CTE:
    """The threads whose workspaces and names are selected, each with as many more sequences."""
    statement = postgresql.insert(threads).from_select(["workspace", "name", "last"], counts)
    # The time is taken when the row is locked, not when the statement begins.
    statement = statement.on_conflict_do_update(
        index_elements=["workspace", "name"],
        set_={
            "last": threads.c.last + statement.excluded.last,
            "last_time": func.greatest(func.clock_timestamp(), threads.c.last_time),
        },
    )
    return statement.returning(
        threads.c.workspace, threads.c.id, threads.c.name, threads.c.last, threads.c.last_time
    ).cte("thread")


def _append() -> Query:
    thread, rows = appended(bindparam("workspace", type_=UUID(as_uuid=False)), many_given())
    return Query(select(thread.c.last).add_cte(rows.cte("event")))


def _create() -> Query:
    _, rows = appended(bindparam("workspace", type_=UUID(as_uuid=False)), one_given())
    row, change = recorded(rows, "workspace", without=BULKY)
    return Query(select(*event_columns(row)).add_cte(change))


APPEND = _append()
"""Appends to one thread of a `workspace`; answers the last sequence."""

CREATE = _create()
"""Appends one event and answers its row. Recorded."""
