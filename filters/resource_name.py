"""Fields that hold the whole name of a top-level resource, such as `users/ada`: ResourceName."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement

from filters.ast import Literal
from filters.conditions import Condition, Equal, Operand
from filters.reference import Reference


@dataclass(frozen=True, eq=False)
class ResourceName(Reference):
    """The name of a resource out of one of the collections, in a text column; unset it is empty.

    A filter gives the name, or the id alone, which is meant in each of the collections.
    """

    collections: tuple[str, ...]
    column: ColumnElement[Any]

    @property
    def type_name(self) -> str:
        return "id, or name " + " or ".join(f"`{each}/ID`" for each in self.collections)

    def equals(self, operand: Operand, literal: Literal) -> Condition:
        text = self.convert(literal)
        if not text or "/" in text:
            return Equal(operand, (text,))
        return Equal(operand, tuple(f"{each}/{text}" for each in self.collections))
