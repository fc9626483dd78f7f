"""The order of a list: AIP-132's `order_by`, checked against the same schema as its filters."""

from typing import NamedTuple

from filters.errors import FilterSyntaxError, FilterTypeError, did_you_mean, quote
from filters.schema import Schema

MOST_CHARACTERS = 1024


class Order(NamedTuple):
    """One field that a list is ordered by."""

    field: str
    descending: bool


def parse_order_by(text: str, schema: Schema) -> list[Order]:
    """The fields to order by, the most important first; none for an empty text.

    >>> parse_order_by("create_time desc, id", schema)
    [Order(field='create_time', descending=True), Order(field='id', descending=False)]

    Raises FilterSyntaxError for what is no list of fields, FilterTypeError for a field that is
    unknown, not orderable, or named twice.
    """
    if len(text) > MOST_CHARACTERS:
        raise FilterSyntaxError(
            f"order_by is longer than {MOST_CHARACTERS} characters", MOST_CHARACTERS
        )
    if not text.strip():
        return []
    orderable = [path for path, field in schema.fields().items() if field.orderable]
    orders: list[Order] = []
    offset = 0
    for part in text.split(","):
        order = _order(part, offset)
        _check(order, offset + len(part) - len(part.lstrip()), orderable, orders)
        orders.append(order)
        offset += len(part) + 1
    return orders


def _order(part: str, offset: int) -> Order:
    """One of the parts between commas; it starts at `offset`."""
    match part.split():
        case [field] | [field, "asc"]:
            return Order(field, descending=False)
        case [field, "desc"]:
            return Order(field, descending=True)
        case []:
            raise FilterSyntaxError("a field is missing", offset)
    raise FilterSyntaxError(
        f"{quote(part.strip())} is no field", offset, 'write "field" or "field desc"'
    )


def _check(order: Order, offset: int, orderable: list[str], before: list[Order]) -> None:
    if order.field not in orderable:
        hint = did_you_mean(order.field, orderable) or f"it can be by {', '.join(orderable)}"
        message = f"this list can't be ordered by {quote(order.field)}"
        raise FilterTypeError(message, offset, hint if orderable else "")
    if any(order.field == other.field for other in before):
        raise FilterTypeError(f"{order.field} stands here twice", offset)
