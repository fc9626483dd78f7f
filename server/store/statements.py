"""The SQL of the standard methods, made of a table and the names of the columns to read.

One resource's own statements stand in a module of its own.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from functools import cached_property, lru_cache
from types import MappingProxyType
from typing import Any, NamedTuple

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    FromClause,
    Integer,
    Table,
    and_,
    bindparam,
    delete,
    extract,
    func,
    literal_column,
    not_,
    or_,
    select,
    text,
    tuple_,
    update,
)
from sqlalchemy.dialects.postgresql import JSONB, TIMESTAMP

from server.store.changes import recorded
from server.store.counts import COUNTED, Span, count_changed, total, total_of
from server.store.query import Query

_KEPT = 64

COUNT_LIMIT = 1_000_000
"""Counting stops here; beyond it a total is only a lower bound."""


Computed = Mapping[str, ColumnElement[Any]]
"""What is read in place of some columns."""


def read_columns(
    source: FromClause, names: Sequence[str], computed: Computed = MappingProxyType({})
) -> list[ColumnElement[Any]]:
    """The columns as they are read: times as whole microseconds since 1970."""
    return [
        _read_column(source.c[name]) if name not in computed else computed[name] for name in names
    ]


def _read_column(column: ColumnElement[Any]) -> ColumnElement[Any]:
    if isinstance(column.type, TIMESTAMP):
        return (extract("epoch", column) * literal_column("1000000")).cast(BigInteger)
    return column


class Key(NamedTuple):
    """A column that a list is ordered by."""

    column: str
    descending: bool


class Choice(NamedTuple):
    """Which rows of a parent a list is of, and in which order; the last key is unique there.

    A short one may come again, and its statements are kept. Of a table with a column `deleted`,
    deleted rows are chosen only where that is said. `counted` is the same choice among the counts,
    where these can tell how many rows there are, `span` where those by days can.
    """

    where: ColumnElement[bool] | None
    order: tuple[Key, ...]
    is_short: bool = True
    shows_deleted: bool = False
    counted: ColumnElement[bool] | None = None
    span: Span | None = None


def kept(make: Callable[[Choice], Query]) -> Callable[[Choice], Query]:
    """The function, with its latest statements kept."""
    made = lru_cache(_KEPT)(make)
    return lambda choice: made(choice) if choice.is_short else make(choice)


class Statements:
    """One table's statements, each made once, those of lists as long as they are in use.

    `scope` are the columns that hold the parent, `workspace` the one that names the workspace,
    `seen` is a condition of its own.
    """

    def __init__(  # noqa: PLR0913 (what a resource declares)
        self,
        table: Table,
        columns: Sequence[str],
        *,
        scope: Sequence[str],
        workspace: str,
        computed: Computed = MappingProxyType({}),
        seen: ColumnElement[bool] | None = None,
    ) -> None:
        self._table = table
        self._names = columns
        self._columns = read_columns(table, columns, computed)
        self._scope = [
            table.c[name] == bindparam(f"scope_{number}") for number, name in enumerate(scope)
        ]
        if seen is not None:
            self._scope.append(seen)
        self._workspace = workspace
        self._updates: dict[tuple[frozenset[str], bool], Query] = {}
        self.first_page = kept(self._first_page)
        self.next_page = kept(self._next_page)
        self.count = kept(self._count)

    @cached_property
    def one(self) -> Query:
        """One row by `scope_0`, … and `id`."""
        return Query(select(*self._columns).where(*self._key()))

    @cached_property
    def one_locked(self) -> Query:
        """The same, and nobody else changes it before the transaction ends."""
        return Query(select(*self._columns).where(*self._key()).with_for_update())

    @cached_property
    def delete(self) -> Query:
        """Deletes one row and answers it. Recorded, as it was."""
        statement = delete(self._table).where(*self._key())
        row, change = recorded(statement, self._workspace)
        return Query(select(*read_columns(row, self._names)).add_cte(change))

    def update(self, changed: Collection[str], *, is_touched: bool) -> Query:
        """Sets the `changed` columns of one row to `new_…`, raises its version, answers it.

        Recorded: `before` are the old values. Of a row that isn't touched only the request is.
        """
        key = frozenset(changed), is_touched
        if key not in self._updates:
            self._updates[key] = self._make_update(sorted(changed), is_touched=is_touched)
        return self._updates[key]

    def _make_update(self, changed: Sequence[str], *, is_touched: bool) -> Query:
        raised = {
            "version": self._table.c.version + 1,
            "update_time": func.clock_timestamp(),
        }
        values: dict[str, Any] = {name: bindparam(f"new_{name}") for name in changed}
        # PostgreSQL has no UPDATE that sets nothing.
        statement = update(self._table).values(
            {**values, **raised} if is_touched else {"version": self._table.c.version}
        )
        row, change = recorded(
            statement.where(*self._key()),
            self._workspace,
            before=lambda _: bindparam("before", type_=JSONB),
        )
        count = count_changed(self._table, row, changed)
        beside = [change] if count is None else [change, count.cte("count")]
        return Query(select(*read_columns(row, self._names)).add_cte(*beside))

    def _first_page(self, choice: Choice) -> Query:
        """`limit` rows, the first ones but `skip`."""
        return self._page(choice, self._matching(choice))

    def _next_page(self, choice: Choice) -> Query:
        """`limit` rows, the first ones behind the row whose keys are `after_0`, `after_1`, …"""
        return self._page(choice, [*self._matching(choice), self._behind(choice.order)])

    def _count(self, choice: Choice) -> Query:
        """How many rows match, and whether that is only the least there are."""
        if choice.counted is not None:
            return Query(total([COUNTED.c.workspace == bindparam("scope_0"), choice.counted]))
        if choice.span is not None:
            return Query(total_of(choice.span, bindparam("scope_0")))
        rows = select(text("1")).select_from(self._table).where(*self._matching(choice))
        found, limit = func.count(), literal_column(str(COUNT_LIMIT), Integer)
        counting = select(func.least(found, limit), found > limit)
        return Query(counting.select_from(rows.limit(COUNT_LIMIT + 1).subquery()))

    def _matching(self, choice: Choice) -> list[ColumnElement[bool]]:
        matching = list(self._scope)
        if "deleted" in self._table.c and not choice.shows_deleted:
            matching.append(not_(self._table.c.deleted))
        return matching if choice.where is None else [*matching, choice.where]

    def _page(self, choice: Choice, conditions: Sequence[ColumnElement[bool]]) -> Query:
        columns = [(self._table.c[key.column], key.descending) for key in choice.order]
        order = [column.desc() if descending else column.asc() for column, descending in columns]
        statement = select(*self._columns).where(*conditions).order_by(*order)
        return Query(statement.limit(bindparam("limit")).offset(bindparam("skip")))

    def _behind(self, order: Sequence[Key]) -> ColumnElement[bool]:
        columns = [self._table.c[key.column] for key in order]
        bounds = [
            bindparam(f"after_{number}", type_=column.type) for number, column in enumerate(columns)
        ]
        if len({key.descending for key in order}) == 1:  # an index serves this form
            ours, theirs = tuple_(*columns), tuple_(*bounds)
            return ours < theirs if order[0].descending else ours > theirs
        return or_(
            *(
                and_(
                    *(columns[before] == bounds[before] for before in range(number)),
                    columns[number] < bounds[number]
                    if key.descending
                    else columns[number] > bounds[number],
                )
                for number, key in enumerate(order)
            )
        )

    def _key(self) -> tuple[ColumnElement[bool], ...]:
        return (*self._scope, self._table.c.id == bindparam("id"))
