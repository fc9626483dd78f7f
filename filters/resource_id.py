"""Fields that refer to another resource: ResourceId."""

from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import ColumnElement

from filters.ast import Literal
from filters.conditions import All, AnyOf, Condition, Equal, Operand
from filters.fields import wrong
from filters.reference import Reference
from filters.strings import String

MOST_IDS = 100


@dataclass(frozen=True, eq=False)
class ResourceId(Reference):
    """The id of a resource, alone in a text column; an unset one counts as empty.

    A filter gives the id, or the full resource name, `…/automations/ID` for the collection
    "automations"; the message has the name, or the id. `parent` is the SQL of what stands before
    the collection in the name, maybe a parameter: with it, a full name matches under that parent
    only, and messages must have full names; without it, only the last part counts. With `any_of`,
    `"a OR b"` in quotes matches both ids.
    """

    collection: str
    column: ColumnElement[Any]
    parent: ColumnElement[Any] | None = None
    any_of: bool = False

    @property
    def type_name(self) -> str:
        return f"id, or name `…/{self.collection}/ID`"

    def load(self, raw: Any) -> str:
        return str(raw).rpartition("/")[2]

    def equals(self, operand: Operand, literal: Literal) -> Condition:
        ids: dict[str | None, dict[str, None]] = {}  # by what stands above, each once, in order
        for name in self._names(literal):
            above, last = self._split(name)
            ids.setdefault(above, {})[last] = None
        conditions = [self._among(operand, above, tuple(lasts)) for above, lasts in ids.items()]
        return conditions[0] if len(conditions) == 1 else AnyOf(tuple(conditions))

    def _split(self, name: str) -> tuple[str | None, str]:
        """What has to stand above, None if that is not to be looked at, and the id."""
        above, found, last = f"/{name}".rpartition(f"/{self.collection}/")
        if not found or not last:
            return None, name  # no name out of this collection: an id, maybe one nothing can have
        return above[1:] if above and self.parent is not None else None, last

    def _among(self, operand: Operand, above: str | None, ids: tuple[str, ...]) -> Condition:
        is_one = Equal(operand, ids)
        if above is None or self.parent is None:
            return is_one
        return All((is_one, Equal(self._above(operand, self.parent), (above,))))

    def _names(self, literal: Literal) -> list[str]:
        text = self.convert(literal)
        if not self.any_of or not literal.quoted or " OR " not in text:
            return [text]
        names = [name.strip() for name in text.split(" OR ")]
        if len(names) > MOST_IDS or not all(names):
            raise wrong(literal, f"a list of ids with OR between them, at most {MOST_IDS}")
        return names

    def _above(self, operand: Operand, parent: ColumnElement[Any]) -> Operand:
        field = NameParent(self.collection, parent)
        return replace(operand, field=field, columns=field.columns)


@dataclass(frozen=True, eq=False)
class NameParent(String):
    """What stands before the collection in a resource name."""

    collection: str
    column: ColumnElement[Any]

    zero = ""

    def load(self, raw: Any) -> str:
        return str(raw).rpartition(f"/{self.collection}/")[0]
