"""How many exceptions there are, by automation, group, state and stage: what is added, and read.

Every change of an exception appends what it adds to a count, a delta, in its own statement. A
count is the rollup plus the deltas, read in one statement: exact, and no row is written by two
changes. `store/count_rollup.py` folds the deltas into the rollup.
"""

from collections.abc import Collection
from typing import Any, Final

from sqlalchemy import (
    CTE,
    BigInteger,
    ColumnElement,
    Insert,
    Integer,
    SmallInteger,
    Table,
    bindparam,
    case,
    cast,
    column,
    func,
    insert,
    literal_column,
    select,
    true,
    union_all,
    values,
)
from sqlalchemy.dialects.postgresql import JSONB

from server.store.tables import exception_count_deltas, exception_counts, exceptions

DIMENSIONS: Final = ("automation", "group", "state", "stage")
"""The columns of exceptions that they are counted by."""

LARGEST = 2**31 - 1
"""What is answered of a count is an int32."""

_NOTHING = literal_column("0", Integer)
_ONE = literal_column("1", Integer)

COUNTED = union_all(
    *(
        select(
            table.c.workspace,
            *(table.c[name] for name in DIMENSIONS),
            cast(table.c.n, BigInteger).label("n"),
        )
        for table in (exception_counts, exception_count_deltas)
    )
).subquery("counted")
"""The rollup and the deltas, whose `n` are to be summed up."""


def count_raised(row: CTE) -> Insert:
    """Counts the row of an exception that was raised, unless it was raised before."""
    kind = [row.c[name] for name in DIMENSIONS]
    one_more = literal_column("1", SmallInteger)
    return _append(select(row.c.workspace, *kind, one_more).where(row.c.occurrence_count == _ONE))


def count_changed(table: Table, row: CTE, changed: Collection[str]) -> Insert | None:
    """Counts a row as what it is, no more as what it was; None where that makes no difference.

    What it was stands in the parameter `before`, as for the change record.
    """
    moved = [name for name in DIMENSIONS if name in changed]
    if table is not exceptions or not moved:
        return None
    sign = values(column("n", SmallInteger), name="sign").data([(-1,), (1,)])
    before = bindparam("before", type_=JSONB)
    kind = [
        case((sign.c.n < _NOTHING, _as_before(before, row.c[name])), else_=row.c[name])
        if name in moved
        else row.c[name]
        for name in DIMENSIONS
    ]
    return _append(select(row.c.workspace, *kind, sign.c.n).select_from(row.join(sign, true())))


def total(matching: Collection[ColumnElement[bool]]) -> Any:
    """How many exceptions match, of conditions on COUNTED; and whether that is too many to say."""
    n = func.coalesce(func.sum(COUNTED.c.n), _NOTHING)
    limit = literal_column(str(LARGEST), Integer)
    return select(cast(func.least(n, limit), BigInteger), n > limit).where(*matching)


def _as_before(before: Any, of: ColumnElement[Any]) -> ColumnElement[Any]:
    return cast(before[of.key].astext, of.type)


def _append(rows: Any) -> Insert:
    names = ["workspace", *DIMENSIONS, "n"]
    return insert(exception_count_deltas).from_select(names, rows)
