"""Which rows a list is of, and in which order: `filter`, `order_by` and `show_deleted` as SQL.

The languages are in the package `filters`; what a resource's fields are, in its declaration.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import ColumnElement

from filters import LONGEST_KEPT, FilterError, FilterSyntaxError, compile_sql, parse_order_by
from server.domain.errors import FilterSyntaxRefused, FilterTypeRefused
from server.resources.resource import Resource
from server.store.statements import Choice, Key


def choice(request: Any, resource: Resource[Any, Any]) -> Choice:
    """What the list request asks for. Raises FilterSyntaxRefused, FilterTypeRefused."""
    text = getattr(request, "filter", "")
    where, counted = _conditions(text, resource)
    order = _order(getattr(request, "order_by", ""), resource)
    shows_deleted = getattr(request, "show_deleted", False)
    return Choice(where, order, len(text) <= LONGEST_KEPT, shows_deleted, counted)


def _conditions(
    text: str, resource: Resource[Any, Any]
) -> tuple[ColumnElement[bool] | None, ColumnElement[bool] | None]:
    """The filter on the table's columns, and on those of the counts if these have all it names."""
    counts = resource.counts
    with refused("filter"):
        compiled = compile_sql(text, resource.filters)
    where = compiled.where if compiled.fields else None
    if counts is None or not compiled.fields <= counts.fields().keys():
        return where, None
    return where, compile_sql(text, counts).where


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
