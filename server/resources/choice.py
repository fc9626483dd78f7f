"""Which rows a list is of, and in which order: `filter` and `order_by` as SQL, or as an error.

The languages are in the package `filters`; what a resource's fields are, in its declaration.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from filters import (
    LONGEST_KEPT,
    FilterError,
    FilterSyntaxError,
    Schema,
    compile_sql,
    parse_order_by,
)
from server.domain.errors import FilterSyntaxRefused, FilterTypeRefused
from server.store.statements import Choice, Key


def choice(request: Any, schema: Schema, default_order: tuple[Key, ...]) -> Choice:
    """What the list request asks for. Raises FilterSyntaxRefused, FilterTypeRefused."""
    with refused("filter"):
        text = getattr(request, "filter", "")
        compiled = compile_sql(text, schema)
        where = compiled.where if compiled.fields else None
    with refused("order_by"):
        orders = parse_order_by(getattr(request, "order_by", ""), schema)
    is_short = len(text) <= LONGEST_KEPT
    if not orders:
        return Choice(where, default_order, is_short)
    fields = schema.fields()
    keys = [Key(str(fields[each.field].columns[0].key), each.descending) for each in orders]
    # The last key of the default order is unique: it decides between equal rows.
    last = Key(default_order[-1].column, keys[-1].descending)
    return Choice(where, (*keys, last), is_short)


@contextmanager
def refused(field: str) -> Iterator[None]:
    """Raises FilterSyntaxRefused or FilterTypeRefused about the request's field."""
    try:
        yield
    except FilterError as error:
        kind = FilterSyntaxRefused if isinstance(error, FilterSyntaxError) else FilterTypeRefused
        raise kind(field, str(error), error.offset) from None
