"""What a filter means for a resource, as plain data: made by check.py, for both compilers.

Every condition is true or false on every row, never unknown. What the language writes in many ways
is little here: `!=` is a Negation, `:*` a Negation of Equal, a wildcard a Like.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from sqlalchemy import ColumnElement

if TYPE_CHECKING:
    from filters.fields import Field


@dataclass(frozen=True, slots=True, eq=False)
class Operand:
    """Where the values of a field are found, in a row and in a message.

    `read` takes a message and gives the value, None where it is unset; `columns` are NULL there.
    `default` is what an unset value counts as; with None, no comparison with it holds. `key` picks
    one value out of a map.
    """

    field: "Field"
    path: str
    columns: tuple[ColumnElement[Any], ...]
    read: Callable[[Any], Any]
    default: Any
    key: str | None = None


@dataclass(frozen=True, slots=True)
class All:
    """Every part holds; without any, true."""

    parts: tuple["Condition", ...]


@dataclass(frozen=True, slots=True)
class AnyOf:
    """A part holds; without any, false."""

    parts: tuple["Condition", ...]


@dataclass(frozen=True, slots=True)
class Negation:
    """The part does not hold."""

    part: "Condition"


@dataclass(frozen=True, slots=True, eq=False)
class IsSet:
    """There is a value, whatever it is."""

    operand: Operand


@dataclass(frozen=True, slots=True, eq=False)
class Equal:
    """The value is one of these."""

    operand: Operand
    values: tuple[Any, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Ordered:
    """The value stands in the order `<`, `<=`, `>` or `>=` to the given one."""

    operand: Operand
    operator: str
    value: Any


@dataclass(frozen=True, slots=True, eq=False)
class Like:
    """The string is these pieces in this order, with anything between two of them; case matters."""

    operand: Operand
    pieces: tuple[str, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Contains:
    """The string has this text in it; case is ignored."""

    operand: Operand
    text: str


Comparison: TypeAlias = IsSet | Equal | Ordered | Like | Contains
Condition: TypeAlias = All | AnyOf | Negation | Comparison


@dataclass(frozen=True, slots=True)
class Checked:
    """A condition, and the paths of the fields it looks at."""

    condition: Condition
    fields: frozenset[str]
