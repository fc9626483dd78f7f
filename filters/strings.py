"""Fields that hold text: Text, and Map with its values."""

import json
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, ClassVar

from sqlalchemy import ColumnElement, types

from filters.ast import Literal
from filters.conditions import Condition, Equal, Like, Operand
from filters.fields import ORDERING, ColumnField, searched_text


class String(ColumnField):
    """What all strings share: wildcards in `=`, and `contains`."""

    sql_type = types.Text()
    operators: ClassVar[tuple[str, ...]] = (*ORDERING, "contains")
    type_name = "string"

    def equals(self, operand: Operand, literal: Literal) -> Condition:
        stars = literal.wildcards
        if not stars:
            return Equal(operand, (literal.text,))
        text = searched_text(literal)
        if len(stars) == text.count("*"):  # not one of them is escaped
            return Like(operand, tuple(text.split("*")))
        starts, ends = [0, *[star + 1 for star in stars]], [*stars, len(text)]
        return Like(operand, tuple([text[i:j] for i, j in zip(starts, ends, strict=True)]))


@dataclass(frozen=True, eq=False)
class Text(String):
    """A string, in a text column; an unset one counts as empty. `:` is `contains`.

    Bare literals are looked for in those that are `searched`.
    """

    column: ColumnElement[Any]
    searched: bool = False

    zero = ""

    def has(self, operand: Operand, literal: Literal) -> Condition:
        return self.contains(operand, literal)


@dataclass(frozen=True, eq=False)
class MapValue(String):
    """What stands under a key of a Map; what is not there equals nothing. `:` is `=`."""

    column: ColumnElement[Any]


@dataclass(frozen=True, eq=False)
class Map(ColumnField):
    """A `map<string, string>`, in a jsonb column. `map.key` is a string, `map:key` asks for one."""

    column: ColumnElement[Any]

    sql_type = types.Text()
    operators = (":",)
    is_container = True
    placeholder = "CAST({} AS jsonb)"
    zero = MappingProxyType[str, str]({})
    type_name = "map of strings"

    def value_of(self, operand: Operand, key: str) -> Operand:
        """The operand of what stands under a key, out of the map's own."""
        path, columns, read = operand.path, operand.columns, operand.read
        return Operand(MapValue(self.column), path, columns, read, default=None, key=key)

    def load(self, raw: Any) -> dict[str, str]:
        return dict(raw)

    def to_sql(self, value: Any) -> str:
        return json.dumps(dict(value), ensure_ascii=False)
