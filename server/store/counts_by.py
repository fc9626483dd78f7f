"""The SQL of counting exceptions by one of their columns, a page at a time.

Where the rollup doesn't know what a filter names, the exceptions themselves are counted.
"""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    ColumnElement,
    Integer,
    Select,
    Text,
    bindparam,
    cast,
    func,
    literal_column,
    or_,
    select,
)

from server.store.counts import COUNTED, LARGEST
from server.store.query import Query
from server.store.statements import COUNT_LIMIT, Choice, read_columns
from server.store.tables import exception_groups, exceptions

_NOTHING = literal_column("0", Integer)
_AFTER = bindparam("after", type_=Text)


def by_automation(choice: Choice) -> Query:
    """A page of `(automation, count, rows in all, exceptions in all, whether these are too few)`.

    The `limit` first rows whose automation comes after `after`, if that isn't NULL. The last three
    are of all pages.
    """
    return Query(_page(choice, "automation"))


def by_group(choice: Choice, columns: Sequence[str]) -> Query:
    """The same by groups, and behind it the columns of the group, NULL for none."""
    page = _page(choice, "group").subquery("page")
    groups = exception_groups.c
    is_of = (groups.workspace == bindparam("scope_0")) & (groups.id == page.c.key)
    both = page.outerjoin(exception_groups, is_of)
    statement = select(*page.c, *read_columns(exception_groups, columns)).select_from(both)
    return Query(statement.order_by(page.c.key))


def _page(choice: Choice, name: str) -> Select[Any]:
    rows = _rows(choice, name).cte("counted_rows")
    total = func.coalesce(select(func.sum(rows.c.n)).scalar_subquery(), _NOTHING)
    number = select(func.count()).select_from(rows).scalar_subquery()
    most = LARGEST if choice.counted is not None else COUNT_LIMIT
    return (
        select(
            rows.c.key,
            _int32(rows.c.n),
            _int32(number),
            _int32(total),
            cast(total > literal_column(str(most)), Boolean),
        )
        .where(or_(_AFTER.is_(None), rows.c.key > _AFTER))
        .order_by(rows.c.key)
        .limit(bindparam("limit"))
    )


def _rows(choice: Choice, name: str) -> Select[Any]:
    if choice.counted is not None:
        source, where, n = COUNTED, choice.counted, func.sum(COUNTED.c.n)
        return (
            select(source.c[name].label("key"), n.label("n"))
            .where(source.c.workspace == bindparam("scope_0"), where)
            .group_by(source.c[name])
            .having(n != _NOTHING)
        )
    limited = select(exceptions.c[name]).where(exceptions.c.workspace == bindparam("scope_0"))
    if choice.where is not None:
        limited = limited.where(choice.where)
    found = limited.limit(COUNT_LIMIT + 1).subquery("found")
    return select(found.c[name].label("key"), func.count().label("n")).group_by(found.c[name])


def _int32(n: ColumnElement[Any]) -> ColumnElement[int]:
    return cast(func.least(n, literal_column(str(LARGEST))), BigInteger)
