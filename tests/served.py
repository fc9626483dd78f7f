"""All methods of all services, out of the descriptors: what is new is called by the tests unasked.

Also what their fields may hold, by resource type.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import reduce
from importlib import import_module
from typing import Any

from google.api import annotations_pb2, resource_pb2
from google.api import field_behavior_pb2 as behavior
from google.protobuf.descriptor import FieldDescriptor, MethodDescriptor, ServiceDescriptor
from google.protobuf.descriptor_pb2 import FileDescriptorSet
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from server.interceptors.methods import Method, declared_methods
from server.launch import files

Names = Mapping[str, str]
"""The name of something of each resource type: `{"kintsugi/Exception": "organizations/…"}`."""


@dataclass(frozen=True)
class Served:
    """A method; `declared` is what the server knows of it."""

    descriptor: MethodDescriptor
    declared: Method

    @property
    def path(self) -> str:
        return self.declared.path

    @property
    def is_stream(self) -> bool:
        return bool(self.descriptor.server_streaming)

    @property
    def request(self) -> type[Message]:
        return GetMessageClass(self.descriptor.input_type)

    @property
    def response(self) -> type[Message]:
        return GetMessageClass(self.descriptor.output_type)

    @property
    def is_read(self) -> bool:
        return str(self.declared.permission).endswith((".read", "view_agent_remediation"))

    @property
    def is_update(self) -> bool:
        return "update_mask" in self.descriptor.input_type.fields_by_name

    def has(self, field: str) -> bool:
        return field in self.descriptor.input_type.fields_by_name

    def callable(self, channel: Any) -> Any:
        """The method on a channel; takes messages, or bytes as they are."""
        make = channel.unary_stream if self.is_stream else channel.unary_unary
        return make(self.path, _serialized, self.response.FromString)

    def paths(self, request: Any) -> Iterator[tuple[str, str, str]]:
        """The REST forms that fit the request: verb, path, and the field that is the body."""
        name = str(reduce(getattr, self.declared.named, request))
        rule = self.descriptor.GetOptions().Extensions[annotations_pb2.http]
        for each in (rule, *rule.additional_bindings):
            verb = each.WhichOneof("pattern")
            prefix, _, rest = str(getattr(each, verb)).partition("{") if verb else ("", "", "")
            pattern, _, suffix = rest.partition("=")[2].partition("}")
            if verb and _fits(name, pattern):
                yield verb.upper(), f"{prefix}{name}{suffix}", each.body


def _serialized(request: Any) -> bytes:
    return request if isinstance(request, bytes) else request.SerializeToString()


def _fits(name: str, pattern: str) -> bool:
    return bool(re.fullmatch(pattern.replace("*", "[^/]+"), name))


def services() -> list[ServiceDescriptor]:
    """All that the protos have."""
    described = FileDescriptorSet.FromString(files.path("descriptors.binpb").read_bytes())
    return [
        import_module(_module(file.name)).DESCRIPTOR.services_by_name[service.name]
        for file in described.file
        for service in file.service
    ]


def _module(file: str) -> str:
    return f"{file.removesuffix('.proto').replace('/', '.')}_pb2"


def methods() -> list[Served]:
    declared = declared_methods(services())
    return [
        Served(method, declared[f"/{service.full_name}/{method.name}"])
        for service in services()
        for method in service.methods
    ]


METHODS = methods()


def behaviors(field: FieldDescriptor) -> set[int]:
    return set(field.GetOptions().Extensions[behavior.field_behavior])


def is_given(field: FieldDescriptor) -> bool:
    """Whether a caller may set it."""
    return behavior.OUTPUT_ONLY not in behaviors(field)


def reference(field: FieldDescriptor) -> str:
    """The type of what a field names; for the parent of one, `^` and its type; else empty."""
    if behavior.IDENTIFIER in behaviors(field):
        holder: Any = field.containing_type
        return str(holder.GetOptions().Extensions[resource_pb2.resource].type)
    found = field.GetOptions().Extensions[resource_pb2.resource_reference]
    return str(found.type) or (f"^{found.child_type}" if found.child_type else "")


def name_for(type: str, names: Names) -> str:
    """A name of that type. Raises KeyError where `names` lacks one: then add one."""
    if not type.startswith("^"):
        return names[type]
    return names[type[1:]].rpartition("/")[0].rpartition("/")[0]


def is_map(field: FieldDescriptor) -> bool:
    return field.message_type is not None and field.message_type.GetOptions().map_entry


def holds_ours(field: FieldDescriptor) -> bool:
    """Whether it holds a message of ours."""
    message = field.message_type
    return message is not None and not message.full_name.startswith("google.") and not is_map(field)
