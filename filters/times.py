"""Fields that hold a point in time or a length of it: Timestamp and Duration.

Values are whole microseconds, as PostgreSQL keeps them. A literal between two of them equals
nothing, and is ordered exactly.
"""

import re
from abc import abstractmethod
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, types

from filters.ast import Literal
from filters.conditions import Condition, Equal, Operand, Ordered
from filters.fields import NEVER, ORDERING, ColumnField, wrong

_TIMESTAMP = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2}[Tt](?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9])(?:\.([0-9]+))?"
    r"(?:[Zz]|([+-](?:[01][0-9]|2[0-3]):[0-5][0-9]))"
)
_DURATION = re.compile(r"(-?)([0-9]{1,12})(?:\.([0-9]+))?s")
_LONGEST_SECONDS = 315_576_000_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SECOND = 1_000_000
_MICROSECOND = timedelta(microseconds=1)


class Microseconds(ColumnField):
    """What both share. Protobuf's messages of the two have `seconds` and `nanos`."""

    operators = ORDERING
    has_presence = True

    @abstractmethod
    def convert(self, literal: Literal) -> tuple[int, bool]:
        """The whole microseconds up to the literal, and whether that is all of it."""

    def equals(self, operand: Operand, literal: Literal) -> Condition:
        value, exact = self.convert(literal)
        return Equal(operand, (value,)) if exact else NEVER

    def order(self, operand: Operand, operator: str, literal: Literal) -> Condition:
        value, exact = self.convert(literal)
        if not exact:
            operator = "<=" if operator.startswith("<") else ">"
        return Ordered(operand, operator, value)

    def load(self, raw: Any) -> int:
        return int(raw.seconds) * _SECOND + int(raw.nanos) // 1000


@dataclass(frozen=True, eq=False)
class Timestamp(Microseconds):
    """A point in time, in a timestamptz column; RFC 3339 in filters. Unset, it compares false."""

    column: ColumnElement[Any]

    sql_type = types.DateTime(timezone=True)
    type_name = "timestamp"

    def convert(self, literal: Literal) -> tuple[int, bool]:
        parts = _TIMESTAMP.fullmatch(literal.text)
        if parts is None:
            raise wrong(literal, "a timestamp", 'write "2025-01-31T12:00:00Z"; Z may be +01:00')
        date_and_time, fraction, offset = parts.groups()
        try:
            moment = datetime.fromisoformat(f"{date_and_time}{offset or '+00:00'}")
            whole = (moment.astimezone(UTC) - _EPOCH) // _MICROSECOND
        except (ValueError, OverflowError):
            raise wrong(literal, "a date that exists") from None
        micros, exact = _fraction(fraction)
        return whole + micros, exact

    def to_sql(self, value: Any) -> datetime:
        return _EPOCH + timedelta(microseconds=value)


@dataclass(frozen=True, eq=False)
class Duration(Microseconds):
    """A length of time, in an interval column; `1.5s` in filters. Unset, it compares false."""

    column: ColumnElement[Any]

    sql_type = types.Interval()
    type_name = "duration"

    def convert(self, literal: Literal) -> tuple[int, bool]:
        parts = _DURATION.fullmatch(literal.text)
        if parts is None or int(parts[2]) > _LONGEST_SECONDS:
            raise wrong(literal, "a duration", 'write seconds, like "20s" or "1.5s"')
        minus, seconds, fraction = parts.groups()
        micros, exact = _fraction(fraction)
        micros += int(seconds) * _SECOND
        if minus:
            micros = -micros if exact else -micros - 1
        return micros, exact

    def to_sql(self, value: Any) -> timedelta:
        return timedelta(microseconds=value)


def _fraction(digits: str | None) -> tuple[int, bool]:
    """The whole microseconds in the digits after the point, and whether that is all of them."""
    if digits is None:
        return 0, True
    return int(digits[:6].ljust(6, "0")), not digits[6:].strip("0")
