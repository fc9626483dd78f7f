"""Which fields the filters of a resource may name: one declaration for all that reads them."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

from sqlalchemy import ColumnElement
from sqlalchemy.sql import operators

from filters.ast import Member
from filters.conditions import Operand
from filters.errors import FilterTypeError, did_you_mean, quote
from filters.fields import Field, is_nullable
from filters.strings import Map, Text

Path = tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Message(Field):
    """A nested message; its fields are columns of the same row, NULL where the message is unset.

    >>> Message({"start_byte": Int64(table.c.start_byte)}, description="Where it happened.")
    """

    fields: Mapping[str, Field]

    operators = (":",)
    is_container = True
    has_presence = True
    type_name = "message"

    @property
    def columns(self) -> tuple[ColumnElement[Any], ...]:
        return tuple(column for field in self.fields.values() for column in field.columns)


class Schema:
    """The fields of a resource, by the names they have in its messages.

    >>> exceptions = Schema(
    ...     state=Enum(pb.ExceptionState, table.c.state),
    ...     automation=ResourceId("automations", table.c.automation),
    ...     message=Text(table.c.message, searched=True),
    ...     create_time=Timestamp(table.c.create_time, orderable=True),
    ... )

    Raises ValueError for an orderable field whose column may be NULL.
    """

    def __init__(self, **fields: Field) -> None:
        self._operands = {path: _operand(path, field) for path, field in _walk(fields)}
        _check_orderable(self._operands.values())
        self._deepest = max(map(len, self._operands), default=0)
        self.searched = tuple(
            operand
            for operand in self._operands.values()
            if isinstance(operand.field, Text) and operand.field.searched
        )

    def fields(self) -> dict[str, Field]:
        """Every field by its dotted path, nested ones after the message that has them."""
        return {operand.path: operand.field for operand in self._operands.values()}

    def resolve(self, member: Member) -> Operand:
        """The operand that a path in a filter names. Raises FilterTypeError when there is none."""
        if member.quoted:
            raise FilterTypeError("a field's name has no quotes", member.offset)
        operand = self._operands.get(member.names)
        return operand or self._inside(member)

    def _inside(self, member: Member) -> Operand:
        """The operand of a key in a map; anything else that is not declared is an error."""
        names, depth = member.names, min(len(member.names) - 1, self._deepest)
        while depth and names[:depth] not in self._operands:
            depth -= 1
        outer = self._operands.get(names[:depth])
        if outer is None or isinstance(outer.field, Message):
            raise self._unknown(member, depth)
        if not isinstance(outer.field, Map):
            raise FilterTypeError(f"{outer.path} has no fields", member.offsets[depth])
        if len(names) > depth + 1:
            hint = f'a key with a dot is written in quotes, {outer.path}."a.b"'
            message = f"the values of {outer.path} have no fields"
            raise FilterTypeError(message, member.offsets[depth + 1], hint)
        return outer.field.value_of(outer, names[depth])

    def _unknown(self, member: Member, depth: int) -> FilterTypeError:
        outer, name = member.names[:depth], member.names[depth]
        where = f" in {'.'.join(outer)}" if outer else ""
        inner = [path[depth:] for path in self._operands if path[:depth] == outer != path]
        message = f"there is no field {quote(name)}{where}"
        return FilterTypeError(
            message, member.offsets[depth], did_you_mean(name, map(".".join, inner))
        )


def _check_orderable(operands: Iterable[Operand]) -> None:
    """Raises ValueError for an order in which rows could be lost: NULL is neither more nor less."""
    for operand in operands:
        if operand.field.orderable and any(map(is_nullable, operand.columns)):
            raise ValueError(f"{operand.path} is orderable, so its column has to be NOT NULL")


def _walk(fields: Mapping[str, Field], outer: Path = ()) -> Iterator[tuple[Path, Field]]:
    for name, field in fields.items():
        yield (*outer, name), field
        if isinstance(field, Message):
            yield from _walk(field.fields, (*outer, name))


def _operand(path: Path, field: Field) -> Operand:
    # In a message that may be unset, a field's own default is a value like any other.
    has_default = len(path) == 1 and not field.has_presence
    read = field.read or _reader(path, field)
    default = field.zero if has_default else None
    columns = tuple([column.self_group(against=operators.getitem) for column in field.columns])
    return Operand(field, ".".join(path), columns, read, default)


def _reader(path: Path, field: Field) -> Callable[[Any], Any]:
    """Finds the value in a protobuf message: None where it, or a message on the way, is unset."""
    if len(path) == 1 and not field.has_presence:
        return attrgetter(*path)
    may_be_unset = path if field.has_presence else path[:-1]

    def read(message: Any) -> Any:
        for name in path:
            if name in may_be_unset and not message.HasField(name):
                return None
            message = getattr(message, name)
        return message

    return read
