"""AIP-160 filters: text to a SQLAlchemy condition for PostgreSQL, or to a Python predicate.

>>> schema = Schema(
...     state=Enum(pb.ExceptionState, table.c.state),
...     message=Text(table.c.message, searched=True),
...     create_time=Timestamp(table.c.create_time, orderable=True),
... )
>>> compiled = compile_sql('state = PENDING AND message:"disk full"', schema)
>>> select(table).where(compiled.where)
>>> compiled.fields
frozenset({'state', 'message'})
>>> compile_predicate("state = PENDING", schema)(message)
True
>>> compile_sql("stat = PENDING", schema)
Traceback (most recent call last):
filters.errors.FilterTypeError: there is no field 'stat' (at character 0): did you mean 'state'?

Nothing here knows the server. The language is told in docs/filters.md and defined in grammar.lark.
"""

from filters.caching import LONGEST_KEPT
from filters.compile_sql import SqlFilter, compile_sql
from filters.describe import describe, fill
from filters.errors import FilterError, FilterSyntaxError, FilterTypeError
from filters.fields import Field
from filters.order_by import Order, parse_order_by
from filters.parse import parse
from filters.predicate import Predicate, compile_predicate
from filters.resource_id import ResourceId
from filters.resource_name import ResourceName
from filters.scalars import Bool, Double, Enum, Int64
from filters.schema import Message, Schema
from filters.span import SqlSpan, compile_span
from filters.strings import Map, Text
from filters.times import Duration, Timestamp

__all__ = [
    "LONGEST_KEPT",
    "Bool",
    "Double",
    "Duration",
    "Enum",
    "Field",
    "FilterError",
    "FilterSyntaxError",
    "FilterTypeError",
    "Int64",
    "Map",
    "Message",
    "Order",
    "Predicate",
    "ResourceId",
    "ResourceName",
    "Schema",
    "SqlFilter",
    "SqlSpan",
    "Text",
    "Timestamp",
    "compile_predicate",
    "compile_span",
    "compile_sql",
    "describe",
    "fill",
    "parse",
    "parse_order_by",
]
