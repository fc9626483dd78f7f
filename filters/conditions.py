"""What a filter means for a resource, as plain data: made by check.py, for both compilers.

Every condition is true or false on every row, never unknown. What the language writes in many ways
is little here: `!=` is a Negation, `:*` a Negation of Equal, a wildcard a Like. For the reason
told in ast.py, what is made anew for each filter is not `frozen`.
"""

import operator
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

from sqlalchemy import ColumnElement

from filters.folding import fold

if TYPE_CHECKING:
    from filters.fields import Field

_ORDERS = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}


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


@dataclass(slots=True)
class All:
    """Every part holds; without any, true."""

    parts: tuple["Condition", ...]


@dataclass(slots=True)
class AnyOf:
    """A part holds; without any, false."""

    parts: tuple["Condition", ...]


@dataclass(slots=True)
class Negation:
    """The part does not hold."""

    part: "Condition"


@dataclass(slots=True, eq=False)
class IsSet:
    """There is a value, whatever it is."""

    operand: Operand

    def holds_for(self, value: Any) -> bool:  # noqa: ARG002  # of any comparison
        return True


@dataclass(slots=True, eq=False)
class Equal:
    """The value is one of these."""

    operand: Operand
    values: tuple[Any, ...]

    def holds_for(self, value: Any) -> bool:
        return value in self.values


@dataclass(slots=True, eq=False)
class Ordered:
    """The value stands in the order `<`, `<=`, `>` or `>=` to the given one."""

    operand: Operand
    operator: str
    value: Any

    def holds_for(self, value: Any) -> bool:
        return bool(_ORDERS[self.operator](value, self.value))


@dataclass(slots=True, eq=False)
class Like:
    """The string is these pieces in this order, with anything between two of them; case matters."""

    operand: Operand
    pieces: tuple[str, ...]

    def holds_for(self, value: str) -> bool:
        return is_like(value, self.pieces)


@dataclass(slots=True, eq=False)
class Contains:
    """The string has this text in it; case is ignored."""

    operand: Operand
    text: str
    _folded: str = field(init=False)

    def __post_init__(self) -> None:
        self._folded = fold(self.text)

    def holds_for(self, value: str) -> bool:
        return self._folded in fold(value)


Comparison: TypeAlias = IsSet | Equal | Ordered | Like | Contains
Condition: TypeAlias = All | AnyOf | Negation | Comparison


@dataclass(slots=True)
class Checked:
    """A condition, and the paths of the fields it looks at."""

    condition: Condition
    fields: frozenset[str]


def is_like(text: str, pieces: tuple[str, ...]) -> bool:
    """Whether a text is these two or more pieces in order, with anything between them."""
    first, *middle, last = pieces
    start, end = len(first), len(text) - len(last)
    if start > end or not text.startswith(first) or not text.endswith(last):
        return False
    for piece in middle:
        found = text.find(piece, start, end)
        if found < 0:
            return False
        start = found + len(piece)
    return True
