"""Which rows a list is of, and in which order: `filter`, `order_by` and `show_deleted` as SQL.

The languages are in the package `filters`; what a resource's fields are, in its declaration.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TypeGuard

from sqlalchemy import ColumnElement

from filters import (
    LONGEST_KEPT,
    FilterError,
    FilterSyntaxError,
    Schema,
    SqlFilter,
    SqlSpan,
    compile_span,
    compile_sql,
    parse_order_by,
)
from server.domain.errors import FilterSyntaxRefused, FilterTypeRefused
from server.resources.resource import Resource
from server.store.counts import Span
from server.store.statements import Choice, Key


def choice(request: Any, resource: Resource[Any, Any]) -> Choice:
    """What the list request asks for. Raises FilterSyntaxRefused, FilterTypeRefused."""
    text = getattr(request, "filter", "")
    where, counted, span = _conditions(text, resource)
    order = _order(getattr(request, "order_by", ""), resource)
    shows_deleted = getattr(request, "show_deleted", False)
    return Choice(where, order, len(text) <= LONGEST_KEPT, shows_deleted, counted, span)


def _conditions(
    text: str, resource: Resource[Any, Any]
) -> tuple[ColumnElement[bool] | None, ColumnElement[bool] | None, Span | None]:
    """The filter on the table's columns, and on those of the counts if these have all it names."""
    with refused("filter"):
        compiled = compile_sql(text, resource.filters)
    where = compiled.where if compiled.fields else None
    if _has(resource.counts, compiled):
        return where, compile_sql(text, resource.counts).where, None
    on_rows, on_days = resource.spans or (None, None)
    if _has(on_rows, compiled) and on_days is not None:
        return where, None, _span(compile_span(text, on_rows), compile_span(text, on_days))
    return where, None, None


def _has(schema: Schema | None, compiled: SqlFilter) -> TypeGuard[Schema]:
    return schema is not None and compiled.fields <= schema.fields().keys()


def _span(rows: SqlSpan | None, days: SqlSpan | None) -> Span | None:
    if rows is None or days is None:
        return None
    if rows.start is not None and rows.end is not None and rows.start >= rows.end:
        return None  # no row to count
    return Span(rows.start, rows.end, rows.where, days.where)


def _order(text: str, resource: Resource[Any, Any]) -> tuple[Key, ...]:
    schema, default = resource.filters, resource.order
    with refused("order_by"):
        orders = parse_order_by(text, schema)
    if not orders:
        return default
    fields = schema.fields()
    keys = [Key(str(fields[each.field].columns[0].key), each.descending) for each in orders]
    # The last key of the default order is unique: it decides between equal rows.
    return (*keys, Key(default[-1].column, keys[-1].descending))


@contextmanager
def refused(field: str) -> Iterator[None]:
    """Raises FilterSyntaxRefused or FilterTypeRefused about the request's field."""
    try:
        yield
    except FilterError as error:
        kind = FilterSyntaxRefused if isinstance(error, FilterSyntaxError) else FilterTypeRefused
        raise kind(field, str(error), error.offset) from None
