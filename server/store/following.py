"""The SELECTs of followers: what was appended to threads, or changed in workspaces, since.

Each reads many logs in one statement, and so in one snapshot. What is made of the rows, and who
is told, is the business of `streams/`.
"""

from collections.abc import Iterable
from functools import reduce
from operator import add
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    FromClause,
    Integer,
    Select,
    Text,
    and_,
    bindparam,
    case,
    cast,
    column,
    func,
    lateral,
    literal_column,
    null,
    or_,
    select,
    true,
    tuple_,
    union_all,
)
from sqlalchemy.dialects.postgresql import ARRAY, UUID, aggregate_order_by

from server.store.events import EVENT_COLUMNS, STREAMING, event_columns
from server.store.query import Query
from server.store.tables import (
    TransactionId,
    changes,
    clusters,
    event_chunks,
    events,
    pruned_changes,
    threads,
)

PAGE_ROWS = 128
PAGE_BYTES = 131_072
"""What is read of a log at once; one row may be larger."""

SCAN_ROWS = 4096
"""How many changes are looked at for a page, most of which may be of other resources."""

LAST_ID = 2**63 - 1

_IMAGES = ("before", "after")
_NOTHING: ColumnElement[str] = literal_column("''")


def _given(**columns: Any) -> FromClause:
    """Arrays of equal length as a table `log` with a column `number` that counts from 1."""
    arrays: list[ColumnElement[Any]] = [
        bindparam(f"{name}s", type_=ARRAY(kind)) for name, kind in columns.items()
    ]
    named: list[Any] = [column(name, kind) for name, kind in columns.items()]
    table = func.unnest(*arrays).table_valued(*named, with_ordinality="number", name="log")
    return table.render_derived()


def _whole(log: FromClause, columns: list[ColumnElement[Any]]) -> Select[Any]:
    """A page of the events that became whole after a position, in their order."""
    size = func.octet_length(events.c.text) + func.octet_length(events.c.details)
    through = func.sum(size).over(order_by=events.c.completed)
    page = (
        select(
            events.c.completed.label("position"),
            null().label("added"),
            cast(through, BigInteger).label("through"),
            (through - size).label("before"),
            *columns,
        )
        .where(
            events.c.workspace == threads.c.workspace,
            events.c.thread == threads.c.id,
            events.c.completed > log.c.position,
        )
        .correlate(log, threads)
        .order_by(events.c.completed)
        .limit(literal_column(str(PAGE_ROWS)))
        .subquery()
    )
    chosen = [each for each in page.c if each.key != "before"]
    return select(*chosen).where(page.c.before < literal_column(str(PAGE_BYTES)))


def _growing(log: FromClause, columns: list[ColumnElement[Any]]) -> Select[Any]:
    """The events that are being generated, with what was added to each after what is known."""
    chunk = event_chunks.c
    added = lateral(
        select(
            func.max(chunk.sequence).label("newest"),
            func.string_agg(chunk.text, aggregate_order_by(_NOTHING, chunk.sequence)).label("text"),
        )
        .where(
            chunk.workspace == events.c.workspace,
            chunk.thread == events.c.thread,
            chunk.event == events.c.id,
            chunk.sequence > func.greatest(log.c.known, events.c.id),
        )
        .correlate(log, events)
    ).alias("added")
    position = func.greatest(events.c.id, added.c.newest).label("position")
    text = func.coalesce(added.c.text, _NOTHING).label("added")
    return (
        select(position, text, null().label("through"), *columns)
        .select_from(events.join(added, true()))
        .where(
            events.c.workspace == threads.c.workspace,
            events.c.thread == threads.c.id,
            events.c.state == literal_column(str(STREAMING)),
            or_(events.c.id > log.c.known, added.c.newest.is_not(None)),
        )
        .correlate(log, threads)
    )


def _follow_threads() -> Query:
    log = _given(
        workspace=UUID(as_uuid=False), name=Text(), position=BigInteger(), known=BigInteger()
    )
    pairs = zip(event_columns(), EVENT_COLUMNS, strict=True)
    columns: list[ColumnElement[Any]] = [each.label(name) for each, name in pairs]
    found = lateral(union_all(_whole(log, columns), _growing(log, columns))).alias("found")
    thread = and_(threads.c.workspace == log.c.workspace, threads.c.name == log.c.name)
    epoch = select(func.max(clusters.c.epoch)).scalar_subquery()
    return Query(
        select(log.c.number, epoch, threads.c.last, threads.c.pruned_through, *found.c)
        .select_from(log.join(threads, thread).outerjoin(found, true()))
        .where(threads.c.last != log.c.known)
    )


def _scanned(is_behind: ColumnElement[bool], log: FromClause, now: FromClause) -> FromClause:
    """The next changes of whatever resource, in their order, each with its `rank`."""
    order = (changes.c.epoch, changes.c.xid, changes.c.id)
    chosen = (*order, changes.c.resource, changes.c.before, changes.c.after)
    return (
        select(*chosen, func.row_number().over(order_by=order).label("rank"))
        .where(is_behind)
        .correlate(log, now)
        .order_by(*order)
        .limit(literal_column(str(SCAN_ROWS)))
        .subquery("scanned")
    )


def _changed(scanned: FromClause, log: FromClause) -> Select[Any]:
    """A page of those in the collection, with the last one scanned, which says how far that was.

    Its size is bounded twice: as it is stored, compressed, which is known without reading it; and,
    of what is left, as it is sent.
    """
    is_ours = func.starts_with(scanned.c.resource, log.c.collection)
    limit: ColumnElement[int] = literal_column(str(PAGE_BYTES))
    rows = (
        select(
            scanned.c.rank,
            scanned.c.epoch.label("change_epoch"),
            cast(scanned.c.xid, Text).label("change_xid"),
            scanned.c.id.label("change_id"),
            *(case((is_ours, scanned.c[name])).label(name) for name in _IMAGES),
        )
        .where(or_(is_ours, scanned.c.rank == literal_column(str(SCAN_ROWS))))
        .correlate(log)
        .order_by(scanned.c.epoch, scanned.c.xid, scanned.c.id)
        .limit(literal_column(str(PAGE_ROWS)))
        .subquery("rows")
    )
    stored = _size(func.pg_column_size(rows.c[name]) for name in _IMAGES)
    through = func.sum(stored).over(order_by=rows.c.rank)
    few = select(*rows.c, stored.label("stored"), (through - stored).label("ahead")).subquery("few")
    size = func.greatest(
        few.c.stored, _size(func.octet_length(cast(few.c[name], Text)) for name in _IMAGES)
    )
    through = func.sum(size).over(order_by=few.c.rank)
    page = (
        select(
            *(each for each in few.c if each.key not in ("stored", "ahead")),
            cast(size, BigInteger).label("size"),
            cast(through, BigInteger).label("through"),
        )
        .where(few.c.ahead < limit)
        .subquery("page")
    )
    return select(*page.c).where(page.c.through - page.c.size < limit).order_by(page.c.rank)


def _size(sizes: Iterable[ColumnElement[int]]) -> ColumnElement[int]:
    return reduce(add, (func.coalesce(each, literal_column("0")) for each in sizes))


def _follow_changes() -> Query:
    log = _given(
        workspace=UUID(as_uuid=False),
        collection=Text(),
        epoch=Integer(),
        xid=Text(),
        id=BigInteger(),
    )
    newest = select(func.max(clusters.c.epoch).label("epoch")).cte("newest")
    horizon = func.pg_snapshot_xmin(func.pg_current_snapshot(), type_=TransactionId())
    now = select(newest.c.epoch, horizon.label("xid")).cte("now")
    xid: ColumnElement[Any] = cast(log.c.xid, TransactionId())
    place = tuple_(changes.c.epoch, changes.c.xid, changes.c.id)
    ours = changes.c.workspace == log.c.workspace
    position = tuple_(log.c.epoch, xid, log.c.id)
    is_decided = or_(changes.c.epoch < now.c.epoch, changes.c.xid < now.c.xid)
    scanned = _scanned(and_(ours, place > position, is_decided), log, now)
    found = lateral(_changed(scanned, log)).alias("found")
    is_held = (
        select(literal_column("1"))
        .where(ours, changes.c.epoch == now.c.epoch, changes.c.xid >= now.c.xid)
        .correlate(log, now)
        .exists()
    )
    pruned = and_(
        pruned_changes.c.workspace == log.c.workspace,
        tuple_(pruned_changes.c.epoch, pruned_changes.c.xid, pruned_changes.c.id) > position,
    )
    return Query(
        select(
            log.c.number,
            now.c.epoch,
            cast(now.c.xid, Text),
            is_held,
            pruned_changes.c.workspace.is_not(None),
            *found.c,
        ).select_from(
            log.join(now, true()).outerjoin(pruned_changes, pruned).outerjoin(found, true())
        )
    )


NEW_EVENTS = _follow_threads()
"""Of each thread (`workspaces`, `names`) whose last sequence isn't the one that is `knowns`:

(number, newest epoch, last, pruned through, position, added text, bytes through, *EVENT_COLUMNS).
Whole events behind `positions`, at most a page, come without an added text. Events that are being
generated come with what was added after `knowns`, if they began or grew since; 0 gives all of them
with all that was added. A thread with none of either has one row without an event.
"""

NEW_CHANGES = _follow_changes()
"""Of each workspace's changes of what is in `collections`, behind (`epochs`, `xids`, `ids`):

(number, newest epoch, horizon, is held, is pruned, rank, epoch, xid, id, before, after, bytes,
bytes through), in order, at most a page. The rank counts all changes behind the position, of
whatever resource; of the last one that is looked at, SCAN_ROWS, at least the place comes, without
an `after` where it isn't in the collection. The horizon is the transaction before which everything
is decided; `is held` says that there is more beyond it. One row without a change where there is
none.
"""
