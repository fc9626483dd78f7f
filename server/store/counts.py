"""How many exceptions there are, by group, automation, stage, state, day: what is added, and read.

Every change of an exception appends what it adds to a count, a delta, in its own statement. A
count is the rollup plus the deltas, read in one statement: exact, and no row is written by two
changes. `store/count_rollup.py` folds the deltas into the rollup.
"""

from collections.abc import Collection
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple

from sqlalchemy import (
    CTE,
    BigInteger,
    ColumnElement,
    Insert,
    Integer,
    SmallInteger,
    Subquery,
    Table,
    bindparam,
    case,
    cast,
    column,
    extract,
    func,
    insert,
    literal_column,
    select,
    true,
    union_all,
    values,
)
from sqlalchemy.dialects.postgresql import JSONB

from server.domain.timestamps import EPOCH
from server.store.tables import (
    exception_count_deltas,
    exception_counts,
    exception_day_counts,
    exceptions,
)

DIMENSIONS: Final = ("automation", "group", "state", "stage")
"""The columns of exceptions that they are counted by."""

LARGEST = 2**31 - 1
"""What is answered of a count is an int32."""

_NOTHING = literal_column("0", Integer)
_ONE = literal_column("1", Integer)


def _counted(rollup: Table, names: Collection[str]) -> Subquery:
    """The rollup and the deltas, whose `n` are to be summed up."""
    return union_all(
        *(
            select(
                table.c.workspace,
                *(table.c[name] for name in names),
                cast(table.c.n, BigInteger).label("n"),
            )
            for table in (rollup, exception_count_deltas)
        )
    ).subquery("counted")


COUNTED = _counted(exception_counts, DIMENSIONS)
DAY_COUNTED = _counted(exception_day_counts, ("day", "state"))

_MICROSECOND = timedelta(microseconds=1)
_DAY = timedelta(days=1) // _MICROSECOND
_LAST = (datetime.max.replace(tzinfo=UTC) - EPOCH) // _MICROSECOND


class Span(NamedTuple):
    """Exceptions first raised from `start` to before `end`, which is later.

    In microseconds since 1970, None where there is no bound. What else is asked of them, `rows`
    says of the exceptions, `days` of DAY_COUNTED.
    """

    start: int | None
    end: int | None
    rows: ColumnElement[bool]
    days: ColumnElement[bool]


def count_raised(row: CTE) -> Insert:
    """Counts the row of an exception that was raised, unless it was raised before."""
    kind = [row.c[name] for name in DIMENSIONS]
    one_more = literal_column("1", SmallInteger)
    raised = select(row.c.workspace, *kind, one_more, _day(row))
    return _append(raised.where(row.c.occurrence_count == _ONE))


def count_all_raised(row: CTE) -> Insert:
    """The same of many rows: one delta for all of a kind."""
    kind = [row.c.workspace, *(row.c[name] for name in DIMENSIONS)]
    number = cast(func.count(), SmallInteger)
    raised = select(*kind, number, _day(row)).where(row.c.occurrence_count == _ONE)
    return _append(raised.group_by(*kind, _day(row)))


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
    rows = select(row.c.workspace, *kind, sign.c.n, _day(row))
    return _append(rows.select_from(row.join(sign, true())))


def total(matching: Collection[ColumnElement[bool]]) -> Any:
    """How many exceptions match, of conditions on COUNTED; and whether that is too many to say."""
    return select(*_answered(func.coalesce(func.sum(COUNTED.c.n), _NOTHING))).where(*matching)


def total_of(span: Span, workspace: ColumnElement[str]) -> Any:
    """The same of a span: its days, from the midnights next to its ends, and the rows between."""
    days = select(func.sum(DAY_COUNTED.c.n)).where(DAY_COUNTED.c.workspace == workspace, span.days)
    total: ColumnElement[Any] = _NOTHING
    for moment, is_start in ((span.start, True), (span.end, False)):
        if moment is None:
            continue
        day = (moment + _DAY // 2) // _DAY
        days = days.where(DAY_COUNTED.c.day >= day if is_start else DAY_COUNTED.c.day < day)
        between = _rows_between(moment, day * _DAY, span, workspace)
        total = total + between if is_start == (moment < day * _DAY) else total - between
    return select(*_answered(total + func.coalesce(days.scalar_subquery(), _NOTHING)))


def _rows_between(one: int, other: int, span: Span, workspace: Any) -> ColumnElement[int]:
    low, high = (EPOCH + _MICROSECOND * min(each, _LAST) for each in sorted((one, other)))
    c = exceptions.c
    rows = select(func.count()).select_from(exceptions)
    among = rows.where(c.workspace == workspace, c.create_time >= low, c.create_time < high)
    return among.where(span.rows).scalar_subquery()


def _answered(n: ColumnElement[Any]) -> tuple[ColumnElement[int], ColumnElement[bool]]:
    limit = literal_column(str(LARGEST), Integer)
    return cast(func.least(n, limit), BigInteger), n > limit


def _as_before(before: Any, of: ColumnElement[Any]) -> ColumnElement[Any]:
    return cast(before[of.key].astext, of.type)


def _day(row: CTE) -> ColumnElement[int]:
    seconds = extract("epoch", row.c.create_time)
    return cast(func.floor(seconds / literal_column("86400")), Integer)


def _append(rows: Any) -> Insert:
    names = ["workspace", *DIMENSIONS, "n", "day"]
    return insert(exception_count_deltas).from_select(names, rows)
