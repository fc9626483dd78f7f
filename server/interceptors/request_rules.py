"""What a request must be, as its descriptor declares it: required fields, names, sizes, enums.

Rules between fields belong to the domain.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, cast

from google.api import field_behavior_pb2 as behavior
from google.api import resource_pb2
from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.protobuf.struct_pb2 import Struct
from google.protobuf.timestamp_pb2 import Timestamp
from kintsugi.v1 import options_pb2

from server.domain.errors import Violation
from server.interceptors.json_values import struct_violations
from server.interceptors.resource_patterns import (
    Patterns,
    closest,
    fits,
    own_patterns,
    referred_patterns,
    with_wildcard,
)

_LANGUAGES = ("filter", "order_by")
"""Fields whose text is checked by the package `filters`, which says what is wrong and where."""

Check = Callable[[Any, str], Iterable[Violation]]
"""Takes a value and its path in the request, answers what is wrong with it."""


class RequestRules:
    """The rules of one request type, made once. `declared` are the patterns of all resources."""

    def __init__(self, request: Descriptor, declared: Mapping[str, Patterns]) -> None:
        is_update = "update_mask" in request.fields_by_name
        self._check = _message_check(request, _Context(declared, is_update=is_update))

    def violations(self, request: Message) -> list[Violation]:
        """All that is wrong with the request, by paths of fields; empty when nothing is."""
        return list(self._check(request, ""))


class _Context:
    """Where in a request a message stands.

    In an update only the name of the resource is required; in a batch, what the batch itself
    says need not be repeated in its children (AIP-134, AIP-233).
    """

    def __init__(
        self,
        declared: Mapping[str, Patterns],
        *,
        is_update: bool,
        said: frozenset[str] = frozenset(),
    ) -> None:
        self.declared = declared
        self.is_update = is_update
        self.said = said

    def inside(self, field: FieldDescriptor) -> "_Context":
        said = frozenset(_holder(field).fields_by_name) if field.is_repeated else frozenset[str]()
        return _Context(self.declared, is_update=self.is_update, said=said)


def _message_check(message: Descriptor, context: _Context) -> Check:
    checks = [
        (field.name, check)
        for field in message.fields
        if (check := _field_check(field, context)) is not None
    ]

    def check_all(value: Message, path: str) -> Iterator[Violation]:
        prefix = f"{path}." if path else ""
        for name, check in checks:
            yield from check(value, prefix + name)

    return check_all


def _field_check(field: FieldDescriptor, context: _Context) -> Check | None:
    """The check of a field, which takes the message that has it."""
    behaviors = set(field.GetOptions().Extensions[behavior.field_behavior])
    if behavior.OUTPUT_ONLY in behaviors or _is_ignored_name(behaviors, context):
        return None
    is_required = _is_required(field, behaviors, context)
    check_value = _value_check(field, context)
    name = field.name

    def check(holder: Message, path: str) -> Iterator[Violation]:
        value = getattr(holder, name)
        if holder.HasField(name) if field.has_presence else value:
            yield from check_value(value, path)
        elif is_required:
            yield path, "is required"

    return check


def _is_ignored_name(behaviors: set[int], context: _Context) -> bool:
    return behavior.IDENTIFIER in behaviors and not context.is_update


def _is_required(field: FieldDescriptor, behaviors: set[int], context: _Context) -> bool:
    if behavior.IDENTIFIER in behaviors:
        return True
    in_resource = bool(own_patterns(_holder(field)))
    if behavior.REQUIRED not in behaviors or (context.is_update and in_resource):
        return False
    return field.name not in context.said


def _value_check(field: FieldDescriptor, context: _Context) -> Check:
    limit = field.GetOptions().Extensions[options_pb2.limit]
    if (entry_type := _map_entry(field)) is not None:
        key, value = entry_type.fields
        entry = _text_check(limit.max_bytes, ()) if key.type == field.TYPE_STRING else _nothing
        inner = _single_check(value, context, limit.max_bytes)
        return _map_check(entry, inner, limit.max_items)
    single = _single_check(field, context, limit.max_bytes)
    return _list_check(single, limit.max_items) if field.is_repeated else single


def _single_check(field: FieldDescriptor, context: _Context, max_bytes: int) -> Check:
    if field.type == field.TYPE_STRING:
        if field.name in _LANGUAGES:
            return _nothing
        return _text_check(max_bytes, _name_patterns(field, context))
    if field.enum_type is not None:
        return _enum_check(field.enum_type)
    if field.message_type is not None and not _is_googles(field.message_type):
        return _message_check(field.message_type, context.inside(field))
    return _googles_check(field.message_type, max_bytes) if field.message_type else _nothing


def _googles_check(message: Descriptor, max_bytes: int) -> Check:
    if message.full_name == Struct.DESCRIPTOR.full_name:
        return lambda struct, path: struct_violations(struct, path, max_bytes)
    return _SPANS.get(message.full_name, _nothing)


def _name_patterns(field: FieldDescriptor, context: _Context) -> Patterns:
    options = field.GetOptions()
    if behavior.IDENTIFIER in options.Extensions[behavior.field_behavior]:
        return own_patterns(_holder(field))
    reference = options.Extensions[resource_pb2.resource_reference]
    if reference.type or reference.child_type:
        patterns = referred_patterns(reference, context.declared)
        wildcard = options.Extensions[options_pb2.wildcard]
        return with_wildcard(patterns, wildcard) if wildcard else patterns
    return ()


def _text_check(max_bytes: int, patterns: Patterns) -> Check:
    def check(text: str, path: str) -> Iterator[Violation]:
        if "\0" in text:
            yield path, "contains a NUL character"
        elif patterns and not fits(text, patterns):
            yield path, f"{text[:100]!r} doesn't have the form {closest(text, patterns)}"
        elif max_bytes and len(text) * 4 > max_bytes and len(text.encode()) > max_bytes:
            yield path, f"has {len(text.encode())} bytes; at most {max_bytes} are allowed"

    return check


def _enum_check(enum: EnumDescriptor) -> Check:
    def check(number: int, path: str) -> Iterator[Violation]:
        if number not in enum.values_by_number:
            yield path, f"{number} is no value of {enum.name}"

    return check


def _json_check(what: str) -> Check:
    """For what has no JSON outside of its range."""

    def check(value: Timestamp | Duration, path: str) -> Iterator[Violation]:
        try:
            value.ToJsonString()
        except ValueError:
            yield path, what

    return check


_SPANS = {
    Timestamp.DESCRIPTOR.full_name: _json_check(
        "is no time of the years 1 to 9999, with nanos from 0 to 999,999,999"
    ),
    Duration.DESCRIPTOR.full_name: _json_check(
        "is no duration of at most 10,000 years, with nanos of its sign"
    ),
}


def _list_check(single: Check, max_items: int) -> Check:
    def check(values: Any, path: str) -> Iterator[Violation]:
        yield from _count_check(len(values), max_items, path)
        for index, value in enumerate(values):
            yield from single(value, f"{path}[{index}]")

    return check


def _map_check(key_check: Check, value_check: Check, max_items: int) -> Check:
    def check(entries: Any, path: str) -> Iterator[Violation]:
        yield from _count_check(len(entries), max_items, path)
        for key, value in entries.items():
            at = f"{path}[{str(key)[:50]!r}]"
            yield from key_check(key, at)
            yield from value_check(value, at)

    return check


def _count_check(count: int, max_items: int, path: str) -> Iterator[Violation]:
    if max_items and count > max_items:
        yield path, f"has {count} entries; at most {max_items} are allowed"


def _nothing(_value: Any, _path: str) -> Iterable[Violation]:
    return ()


def _holder(field: FieldDescriptor) -> Descriptor:
    return cast("Descriptor", field.containing_type)  # only extensions have none


def _map_entry(field: FieldDescriptor) -> Descriptor | None:
    entry = field.message_type
    return entry if entry is not None and entry.GetOptions().map_entry else None


def _is_googles(message: Descriptor) -> bool:
    return message.full_name.startswith("google.")
