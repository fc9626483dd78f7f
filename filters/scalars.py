"""Fields that hold one number or one of some words: Int64, Double, Bool and Enum."""

import re
from dataclasses import dataclass
from functools import cached_property
from math import inf, isinf, isnan
from typing import Any, ClassVar, Protocol

from sqlalchemy import ColumnElement, types

from filters.ast import Literal
from filters.errors import did_you_mean
from filters.fields import EQUALITY, ORDERING, ColumnField, wrong

_INTEGER = re.compile(r"-?[0-9]+")
_NUMBER = re.compile(r"-?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
_INT64 = range(-(2**63), 2**63)
_INT64_DIGITS = 19


class Number(ColumnField):
    """A number; an unset one counts as 0, or, if it is `optional`, is in no relation to any."""

    optional: bool

    operators: ClassVar[tuple[str, ...]] = ORDERING

    @property
    def has_presence(self) -> bool:
        return self.optional


@dataclass(frozen=True, eq=False)
class Int64(Number):
    """A whole number in a smallint, integer or bigint column."""

    column: ColumnElement[Any]
    optional: bool = False

    sql_type = types.BigInteger()
    zero = 0
    type_name = "integer"

    def convert(self, literal: Literal) -> int:
        if not _INTEGER.fullmatch(literal.text):
            raise wrong(literal, "a whole number")
        # Python refuses to read a number of some thousand digits, be they zeros.
        digits = literal.text.lstrip("-0")[: _INT64_DIGITS + 1] or "0"
        value = -int(digits) if literal.text.startswith("-") else int(digits)
        if value not in _INT64:
            raise wrong(literal, "within the 64 bits of a whole number")
        return value


@dataclass(frozen=True, eq=False)
class Double(Number):
    """A number in a double precision column."""

    column: ColumnElement[Any]
    optional: bool = False

    sql_type = types.Double()
    zero = 0.0
    type_name = "number"

    def convert(self, literal: Literal) -> float:
        if not _NUMBER.fullmatch(literal.text):
            raise wrong(literal, "a number")
        value = float(literal.text)
        if isinf(value):
            raise wrong(literal, "within the range of a number")
        return value

    def load(self, raw: Any) -> float:
        # PostgreSQL orders NaN above all numbers; so is infinity, which no literal can be.
        return inf if isnan(raw) else float(raw)


@dataclass(frozen=True, eq=False)
class Bool(Number):
    """`true` or `false`."""

    column: ColumnElement[Any]
    optional: bool = False

    sql_type = types.Boolean()
    operators = EQUALITY
    zero = False
    type_name = "`true` or `false`"

    def convert(self, literal: Literal) -> bool:
        if literal.text not in ("true", "false"):
            raise wrong(literal, "true or false", did_you_mean(literal.text, ("true", "false")))
        return literal.text == "true"


class EnumType(Protocol):
    """What is used of a protobuf enum, `pb.ExceptionState`."""

    @property
    def DESCRIPTOR(self) -> Any: ...  # noqa: N802  # protobuf's name

    def items(self) -> list[tuple[str, Any]]: ...


@dataclass(frozen=True, eq=False)
class Enum(ColumnField):
    """A value of a protobuf enum, its number in a smallint or integer column.

    A filter gives the name, `EXCEPTION_STATE_PENDING`, or leaves the prefix away, `PENDING`.
    """

    enum: EnumType
    column: ColumnElement[Any]

    zero = 0

    @property
    def type_name(self) -> str:
        return ", ".join(f"`{name}`" for name, number in self._short.items() if number)

    @cached_property
    def _prefix(self) -> str:
        name = self.enum.DESCRIPTOR.name
        return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).upper() + "_"

    @cached_property
    def _short(self) -> dict[str, int]:
        return {name.removeprefix(self._prefix): int(number) for name, number in self.enum.items()}

    @cached_property
    def _numbers(self) -> dict[str, int]:
        return {name: int(number) for name, number in self.enum.items()} | self._short

    def convert(self, literal: Literal) -> int:
        number = self._numbers.get(literal.text)
        if number is None:
            hint = did_you_mean(literal.text.upper().removeprefix(self._prefix), self._short)
            raise wrong(literal, f"a value of {self.enum.DESCRIPTOR.name}", hint)
        return number
