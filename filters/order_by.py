"""The order of a list: AIP-132's `order_by`, checked against the same schema as its filters."""

import re
from typing import NamedTuple, TypeAlias

from filters.errors import FilterSyntaxError, FilterTypeError, did_you_mean, quote
from filters.schema import Schema

MOST_CHARACTERS = 1024

_WORD = re.compile("[^ ]+")

Word: TypeAlias = tuple[str, int]
"""With its offset."""


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
    if not text.strip(" "):
        return []
    orderable = [path for path, field in schema.fields().items() if field.orderable]
    orders: list[Order] = []
    offset = 0
    for part in text.split(","):
        # No other whitespace separates: AIP-132 speaks of spaces.
        words = [(word[0], offset + word.start()) for word in _WORD.finditer(part)]
        if not words:
            raise FilterSyntaxError("a field is missing", offset)
        order = _order(words)
        _check(order, words[0][1], orderable, orders)
        orders.append(order)
        offset += len(part) + 1
    return orders


def _order(words: list[Word]) -> Order:
    """One of the parts between commas."""
    match words:
        case [(field, _)] | [(field, _), ("asc", _)]:
            return Order(field, descending=False)
        case [(field, _), ("desc", _)]:
            return Order(field, descending=True)
        case [_, ("asc" | "desc", _), (word, offset), *_]:
            hint = "put a comma between two fields"
            raise FilterSyntaxError(f"{quote(word)} can't stand here", offset, hint)
    word, offset = words[1]
    is_upper = word.lower() in ("asc", "desc")
    hint = f"write {word.lower()}, in lower case" if is_upper else 'write "field" or "field desc"'
    raise FilterSyntaxError(f"{quote(word)} is no direction", offset, hint)


def _check(order: Order, offset: int, orderable: list[str], before: list[Order]) -> None:
    if order.field not in orderable:
        hint = did_you_mean(order.field, orderable) or f"it can be by {', '.join(orderable)}"
        message = f"this list can't be ordered by {quote(order.field)}"
        raise FilterTypeError(message, offset, hint if orderable else "")
    if any(order.field == other.field for other in before):
        raise FilterTypeError(f"{order.field} stands here twice", offset)
