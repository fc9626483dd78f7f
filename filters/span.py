"""Filters that name a span of time, and nothing else of it: for counts that are kept by days.

What else a condition becomes is in compile_sql.py.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from sqlalchemy import ColumnElement

from filters.caching import cached_by_text
from filters.check import check
from filters.compile_sql import where
from filters.conditions import All, AnyOf, Condition, Negation, Ordered
from filters.parse import parse
from filters.schema import Schema
from filters.times import Timestamp


@dataclass(frozen=True, slots=True)
class SqlSpan:
    """`start <= time < end`, and `where`, which says nothing of the time.

    Microseconds since 1970, None where there is no bound.
    """

    start: int | None
    end: int | None
    where: ColumnElement[bool]


@cached_by_text
def compile_span(text: str, schema: Schema) -> SqlSpan | None:
    """The filter as a span of the schema's only timestamp; None where it is anything else.

    Raises FilterSyntaxError and FilterTypeError.
    """
    parts = list(_conjuncts(check(parse(text), schema).condition))
    bounds = [part for part in parts if isinstance(part, Ordered) and _is_of_time(part)]
    rest = [part for part in parts if part not in bounds]
    if not bounds or any(map(_is_of_time, rest)):
        return None
    starts = [each.value + (each.operator == ">") for each in bounds if each.operator[0] == ">"]
    ends = [each.value + (each.operator == "<=") for each in bounds if each.operator[0] == "<"]
    return SqlSpan(max(starts, default=None), min(ends, default=None), where(All(tuple(rest))))


def _conjuncts(condition: Condition) -> Iterator[Condition]:
    if isinstance(condition, All):
        for part in condition.parts:
            yield from _conjuncts(part)
    else:
        yield condition


def _is_of_time(condition: Condition) -> bool:
    match condition:
        case All(parts) | AnyOf(parts):
            return any(map(_is_of_time, parts))
        case Negation(part):
            return _is_of_time(part)
        case _:
            return isinstance(condition.operand.field, Timestamp)
