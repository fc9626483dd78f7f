"""What every kind of field has in common: how a comparison is read, and what a declaration may say.

The kinds are in strings.py, resource_id.py, scalars.py and times.py; messages are in schema.py.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

from sqlalchemy import ColumnElement
from sqlalchemy.types import TypeEngine

from filters.ast import Literal
from filters.conditions import (
    All,
    AnyOf,
    Condition,
    Contains,
    Equal,
    IsSet,
    Negation,
    Operand,
    Ordered,
)
from filters.errors import FilterTypeError, quote

EQUALITY = ("=", "!=", ":")
ORDERING = ("=", "!=", "<", "<=", ">", ">=", ":")
NEVER = AnyOf(())
LONGEST_SEARCHED = 1000
"""Characters. PostgreSQL may compare a searched text at every place of a row's."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Field(ABC):
    """A field of a resource that filters may name; each kind has arguments of its own before these.

    `description` is for the docs. `orderable` fields, of NOT NULL columns only, may stand in
    order_by; `changing` says that the value may change while a list is being paged through. `read`
    gives the field's value as protobuf has it, None where unset, out of a message; without it, the
    attribute of the field's path is taken.
    """

    description: str = ""
    orderable: bool = False
    changing: bool = False
    read: Callable[[Any], Any] | None = None

    operators: ClassVar[tuple[str, ...]] = EQUALITY
    is_container: ClassVar[bool] = False
    placeholder: ClassVar[str] = "{}"
    """Where a value stands in SQL, around the parameter."""
    zero: ClassVar[Any] = None
    """protobuf's default value, which an unset one counts as; None where there is no such value."""

    @property
    @abstractmethod
    def columns(self) -> tuple[ColumnElement[Any], ...]:
        """Where the value is in a row; all are NULL where it is unset."""

    @property
    def sql_type(self) -> TypeEngine[Any]:
        """The type that values are sent to the database as."""
        return self.columns[0].type

    @property
    @abstractmethod
    def type_name(self) -> str:
        """The kind of value, for the docs."""

    def convert(self, literal: Literal) -> Any:
        """The value that a literal stands for. Raises FilterTypeError."""
        return literal.text

    @property
    def has_presence(self) -> bool:
        """Whether the message can say that it is unset, with `HasField`."""
        return False

    def load(self, raw: Any) -> Any:
        """A value as protobuf has it, as `convert` gives it."""
        return raw

    def to_sql(self, value: Any) -> Any:
        """A value as `convert` gives it, as the parameter that any database driver takes."""
        return value

    def compare(self, operand: Operand, operator: str, literal: Literal) -> Condition:
        """What a comparison by one of `operators` means. Raises FilterTypeError."""
        match operator:
            case "=":
                return self.equals(operand, literal)
            case ":":
                return self.is_present(operand) if is_star(literal) else self.has(operand, literal)
            case "!=":
                different = Negation(self.equals(operand, literal))
                return All((IsSet(operand), different)) if operand.default is None else different
            case "contains":
                return self.contains(operand, literal)
            case _:
                return self.order(operand, operator, literal)

    def is_present(self, operand: Operand) -> Condition:
        """`field:*`: set to something other than its default."""
        if self.zero is None:
            return IsSet(operand)
        changed = Negation(Equal(operand, (self.zero,)))
        return All((IsSet(operand), changed)) if operand.default is None else changed

    def equals(self, operand: Operand, literal: Literal) -> Condition:
        """`field = literal`."""
        return Equal(operand, (self.convert(literal),))

    def has(self, operand: Operand, literal: Literal) -> Condition:
        """`field:literal`, where the literal is no lone star."""
        return self.equals(operand, literal)

    def contains(self, operand: Operand, literal: Literal) -> Condition:
        """`field contains literal`. Raises FilterTypeError."""
        return Contains(operand, searched_text(literal))

    def order(self, operand: Operand, operator: str, literal: Literal) -> Condition:
        """`field < literal` and the like."""
        return Ordered(operand, operator, self.convert(literal))


class ColumnField(Field):
    """A field whose value is in one column, or is one SQL expression."""

    column: ColumnElement[Any]

    @property
    def columns(self) -> tuple[ColumnElement[Any], ...]:
        return (self.column,)


def is_nullable(column: ColumnElement[Any]) -> bool:
    """Whether there may be rows without a value; nothing is known of an expression."""
    return getattr(column, "nullable", True)


def is_star(literal: Literal) -> bool:
    """Whether it is the `*` of `field:*`."""
    return literal.text == "*" and not literal.quoted


def searched_text(literal: Literal) -> str:
    """The text of a literal that is to be looked for inside of others."""
    if len(literal.text) > LONGEST_SEARCHED:
        message = f"a text to look for has at most {LONGEST_SEARCHED} characters"
        raise FilterTypeError(message, literal.offset, "look for a part of it")
    return literal.text


def wrong(literal: Literal, expected: str, hint: str = "") -> FilterTypeError:
    """The error for a literal that is no value of the field it is compared with."""
    return FilterTypeError(f"{quote(literal.text)} is not {expected}", literal.offset, hint)
