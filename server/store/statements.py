"""The SQL of the standard methods, made of a table and the names of the columns to read.

One resource's own statements stand in a module of its own.
"""

from collections.abc import Collection, Sequence
from functools import cached_property
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    FromClause,
    Table,
    bindparam,
    extract,
    func,
    literal_column,
    select,
    text,
    tuple_,
    update,
)
from sqlalchemy.dialects.postgresql import JSONB, TIMESTAMP

from server.store.changes import recorded
from server.store.query import Query

COUNT_LIMIT = 1_000_000
"""Counting stops here; beyond it a total is only a lower bound."""


def read_columns(source: FromClause, names: Sequence[str]) -> list[ColumnElement[Any]]:
    """The columns as they are read: times as whole microseconds since 1970."""
    return [_read_column(source.c[name]) for name in names]


def _read_column(column: ColumnElement[Any]) -> ColumnElement[Any]:
    if isinstance(column.type, TIMESTAMP):
        return (extract("epoch", column) * literal_column("1000000")).cast(BigInteger)
    return column


class Statements:
    """One table's statements, each made once.

    `scope` is the column that holds the parent, `workspace` the one that names the workspace.
    """

    def __init__(
        self,
        table: Table,
        columns: Sequence[str],
        order: Sequence[str],
        scope: str,
        workspace: str,
    ) -> None:
        self._table = table
        self._names = columns
        self._columns = read_columns(table, columns)
        self._order = [table.c[name] for name in order]
        self._scope = table.c[scope] == bindparam("scope")
        self._workspace = workspace
        self._updates: dict[frozenset[str], Query] = {}

    @cached_property
    def one(self) -> Query:
        """One row by `scope` and `id`."""
        return Query(select(*self._columns).where(*self._key()))

    @cached_property
    def one_locked(self) -> Query:
        """The same, and nobody else changes it before the transaction ends."""
        return Query(select(*self._columns).where(*self._key()).with_for_update())

    @cached_property
    def first_page(self) -> Query:
        """`limit` rows, the newest ones but `skip`."""
        return self._page(self._scope)

    @cached_property
    def next_page(self) -> Query:
        """`limit` rows, the newest ones behind `after_…`, which names a row's order columns."""
        bound = [bindparam(f"after_{key.name}", type_=key.type) for key in self._order]
        return self._page(self._scope, tuple_(*self._order) < tuple_(*bound))

    @cached_property
    def count(self) -> Query:
        """How many rows the scope has, or one more than COUNT_LIMIT."""
        rows = select(text("1")).select_from(self._table).where(self._scope)
        return Query(select(func.count()).select_from(rows.limit(COUNT_LIMIT + 1).subquery()))

    def update(self, changed: Collection[str]) -> Query:
        """Sets the `changed` columns of one row to `new_…`, raises its version, answers it.

        Recorded: `before` are the old values. Without changed columns only the request is.
        """
        key = frozenset(changed)
        if key not in self._updates:
            self._updates[key] = self._make_update(sorted(key))
        return self._updates[key]

    def _make_update(self, changed: Sequence[str]) -> Query:
        raised = {
            "version": self._table.c.version + 1,
            "update_time": func.clock_timestamp(),
        }
        values: dict[str, Any] = {name: bindparam(f"new_{name}") for name in changed}
        # PostgreSQL has no UPDATE that sets nothing.
        statement = update(self._table).values(
            {**values, **raised} if changed else {"version": self._table.c.version}
        )
        row, change = recorded(
            statement.where(*self._key()),
            self._table,
            self._workspace,
            before=lambda _: bindparam("before", type_=JSONB),
        )
        return Query(select(*read_columns(row, self._names)).add_cte(change))

    def _page(self, *conditions: ColumnElement[bool]) -> Query:
        statement = select(*self._columns).where(*conditions)
        statement = statement.order_by(*(key.desc() for key in self._order))
        return Query(statement.limit(bindparam("limit")).offset(bindparam("skip")))

    def _key(self) -> tuple[ColumnElement[bool], ...]:
        return (self._scope, self._table.c.id == bindparam("id"))
