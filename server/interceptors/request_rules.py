"""What a request must be, as its descriptor declares it: required fields, names, sizes, enums.

Rules between fields belong to the domain.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
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

Check = Callable[[Any], Sequence[Violation]]
"""Takes a value and answers what is wrong with it, by paths within it: `.field`, `[0]`, or none.

Where nothing is wrong, which is nearly always, no path is made.
"""


class RequestRules:
    """The rules of one request type, made once. `declared` are the patterns of all resources."""

    def __init__(self, request: Descriptor, declared: Mapping[str, Patterns]) -> None:
        is_update = "update_mask" in request.fields_by_name
        self._check = _message_check(request, _Context(declared, is_update=is_update))

    def violations(self, request: Message) -> list[Violation]:
        """All that is wrong with the request, by paths of fields; empty when nothing is."""
        return [(path.removeprefix("."), what) for path, what in self._check(request)]


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
        (f".{field.name}", check)
        for field in message.fields
        if (check := _field_check(field, context)) is not None
    ]

    def check_all(value: Message) -> Sequence[Violation]:
        found: list[Violation] = []
        for step, check in checks:
            if wrong := check(value):
                found += _within(step, wrong)
        return found

    return check_all


def _within(step: str, found: Iterable[Violation]) -> list[Violation]:
    return [(step + path, what) for path, what in found]


def _field_check(field: FieldDescriptor, context: _Context) -> Check | None:
    """The check of a field, which takes the message that has it."""
    behaviors = set(field.GetOptions().Extensions[behavior.field_behavior])
    if behavior.OUTPUT_ONLY in behaviors or _is_ignored_name(behaviors, context):
        return None
    is_required = _is_required(field, behaviors, context)
    check_value = _value_check(field, context)
    if check_value is _nothing and not is_required:
        return None
    missing = [("", "is required")] if is_required else ()
    name, has_presence = field.name, field.has_presence

    def check(holder: Message) -> Sequence[Violation]:
        value = getattr(holder, name)
        is_there = holder.HasField(name) if has_presence else value
        return check_value(value) if is_there else missing

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
        return lambda struct: list(struct_violations(struct, "", max_bytes))
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
    def check(text: str) -> Sequence[Violation]:
        if "\0" in text:
            return [("", "contains a NUL character")]
        if patterns and not fits(text, patterns):
            return [("", f"{text[:100]!r} doesn't have the form {closest(text, patterns)}")]
        if max_bytes and len(text) * 4 > max_bytes and len(text.encode()) > max_bytes:
            return [("", f"has {len(text.encode())} bytes; at most {max_bytes} are allowed")]
        return ()

    return check


def _enum_check(enum: EnumDescriptor) -> Check:
    known = frozenset(enum.values_by_number)

    def check(number: int) -> Sequence[Violation]:
        return () if number in known else [("", f"{number} is no value of {enum.name}")]

    return check


def _json_check(what: str) -> Check:
    """For what has no JSON outside of its range."""

    def check(value: Timestamp | Duration) -> Sequence[Violation]:
        try:
            value.ToJsonString()
        except ValueError:
            return [("", what)]
        return ()

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
    def check(values: Any) -> Sequence[Violation]:
        found = _too_many(len(values), max_items)
        for index, value in enumerate(values):
            if wrong := single(value):
                found += _within(f"[{index}]", wrong)
        return found

    return check


def _map_check(key_check: Check, value_check: Check, max_items: int) -> Check:
    def check(entries: Any) -> Sequence[Violation]:
        found = _too_many(len(entries), max_items)
        for key, value in entries.items():
            if wrong := [*key_check(key), *value_check(value)]:
                found += _within(f"[{str(key)[:50]!r}]", wrong)
        return found

    return check


def _too_many(count: int, max_items: int) -> list[Violation]:
    if not max_items or count <= max_items:
        return []
    return [("", f"has {count} entries; at most {max_items} are allowed")]


def _nothing(_value: Any) -> Sequence[Violation]:
    return ()


def _holder(field: FieldDescriptor) -> Descriptor:
    return cast("Descriptor", field.containing_type)  # only extensions have none


def _map_entry(field: FieldDescriptor) -> Descriptor | None:
    entry = field.message_type
    return entry if entry is not None and entry.GetOptions().map_entry else None


def _is_googles(message: Descriptor) -> bool:
    return message.full_name.startswith("google.")
