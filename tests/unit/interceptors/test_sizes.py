"""Every size that a field declares is held to, in every request that has the field.

The requests are made from the descriptors, so that no method and no field can be forgotten.
"""

import importlib
import pkgutil
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest
from google.api import field_behavior_pb2 as behavior
from google.api import resource_pb2
from google.protobuf import message_factory
from google.protobuf.descriptor import Descriptor, FieldDescriptor, ServiceDescriptor
from google.protobuf.message import Message
from kintsugi import v1
from kintsugi.v1 import options_pb2

from server.interceptors.methods import declared_methods

_BOUNDED_ELSEWHERE = {"filter", "order_by", "content"}
"""What the language of filters bounds, and the rules of events for all files together."""


class Field(NamedTuple):
    """A field that a caller may set, behind those that lead to it."""

    path: tuple[FieldDescriptor, ...]

    @property
    def last(self) -> FieldDescriptor:
        return self.path[-1]

    @property
    def limit(self) -> options_pb2.Limit:
        return self.last.GetOptions().Extensions[options_pb2.limit]

    @property
    def is_name(self) -> bool:
        """Names of resources are bounded by the forms that they have."""
        options = self.last.GetOptions()
        refers = options.Extensions[resource_pb2.resource_reference].ByteSize() > 0
        return refers or behavior.IDENTIFIER in options.Extensions[behavior.field_behavior]

    @property
    def grows(self) -> bool:
        kinds = (FieldDescriptor.TYPE_STRING, FieldDescriptor.TYPE_BYTES)
        return self.last.is_repeated or self.last.type in kinds or _is_json(self.last)

    def __str__(self) -> str:
        """As a violation names it, where every list on the way has one entry."""
        *before, last = self.path
        return ".".join([*(f"{f.name}[0]" if f.is_repeated else f.name for f in before), last.name])


def services() -> Iterator[ServiceDescriptor]:
    for module in pkgutil.iter_modules(v1.__path__):
        if module.name.endswith("_service_pb2"):
            file = importlib.import_module(f"kintsugi.v1.{module.name}").DESCRIPTOR
            yield from file.services_by_name.values()


METHODS = declared_methods(services())
INPUTS = {
    f"/{service.full_name}/{method.name}": method.input_type
    for service in services()
    for method in service.methods
}


def fields(message: Descriptor, path: tuple[FieldDescriptor, ...] = ()) -> Iterator[Field]:
    """All that a caller may set in a message, and in the messages in it."""
    for field in message.fields:
        options, inner = field.GetOptions(), field.message_type
        if behavior.OUTPUT_ONLY in options.Extensions[behavior.field_behavior]:
            continue
        if field.is_repeated or inner is None or _is_json(field):
            yield Field((*path, field))
        if inner is not None and not _is_a_leaf(inner):
            yield from fields(inner, (*path, field))


def _is_json(field: FieldDescriptor) -> bool:
    return field.message_type is not None and field.message_type.name == "Struct"


def _is_a_leaf(message: Descriptor) -> bool:
    return message.GetOptions().map_entry or message.full_name.startswith("google.")


SIZED = [(call, field) for call in INPUTS for field in fields(INPUTS[call]) if field.grows]
LIMITED = [pytest.param(*one, id=f"{one[0]} {one[1]}") for one in SIZED if one[1].limit.ByteSize()]


def test_nothing_that_grows_is_without_a_limit() -> None:
    assert len(LIMITED) > 50
    for call, field in SIZED:
        bounded = field.limit.ByteSize() or field.is_name or field.last.name in _BOUNDED_ELSEWHERE
        assert bounded, f"{call}: {field}"


@pytest.mark.parametrize(("call", "field"), LIMITED)
def test_what_exceeds_its_limit_is_named_with_the_limit(call: str, field: Field) -> None:
    for request, path, most in exceeding(INPUTS[call], field):
        violations = dict(METHODS[call].rules.violations(request))
        assert f"at most {most} are allowed" in violations[path]


def exceeding(message: Descriptor, field: Field) -> Iterator[tuple[Message, str, int]]:
    """Requests with a field that is one too large: in entries, and in bytes of one entry."""
    most = field.limit
    if most.max_items:
        request, holder = made(message, field)
        fill(holder, field.last, most.max_items + 1, "x")
        yield request, str(field), most.max_items
    if most.max_bytes:
        request, holder = made(message, field)
        fill(holder, field.last, 1, "x" * (most.max_bytes + 1))
        first = "['0']" if isinstance(field.last.message_type, Descriptor) else "[0]"
        yield request, f"{field}{first if field.last.is_repeated else ''}", most.max_bytes


def made(message: Descriptor, field: Field) -> tuple[Message, Any]:
    """A request, and the message in it that has the field."""
    request = message_factory.GetMessageClass(message)()
    holder: Any = request
    for step in field.path[:-1]:
        holder = getattr(holder, step.name)
        holder = holder.add() if step.is_repeated else holder
        holder.SetInParent()
    return request, holder


def fill(holder: Any, field: FieldDescriptor, entries: int, text: str) -> None:
    """Sets a field, or so many entries of it, to the text."""
    if _is_json(field):
        getattr(holder, field.name)["x"] = text
    elif not field.is_repeated:
        setattr(holder, field.name, text)
    elif field.message_type is None:
        value = text if field.type in (field.TYPE_STRING, field.TYPE_BYTES) else len(text)
        getattr(holder, field.name).extend([value] * entries)
    elif field.message_type.GetOptions().map_entry:
        getattr(holder, field.name).update({str(number): text for number in range(entries)})
    else:
        for _ in range(entries):
            getattr(holder, field.name).add()
