"""The protos as they were written: messages, enums and services by full name, and their comments.

What becomes of them in OpenAPI is not known here.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from google.api import resource_pb2
from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    EnumDescriptorProto,
    FileDescriptorProto,
    FileDescriptorSet,
    ServiceDescriptorProto,
)

PACKAGE = "kintsugi.v1"

_IDS = re.compile(r"([^/{}]+)/\{(\w+)\}")


@dataclass(frozen=True)
class Protos:
    """All by full name; a value of an enum stands under its enum, `kintsugi.v1.Kind.KIND_A`.

    - `services`: those of our own package, in the order of their files.
    - `ids`: what stands after a collection in a path, `exceptionGroups`: `exception_group`.
    - `plurals`: what several of a resource are called, `GuideEntry`: `guideEntries`.
    """

    messages: dict[str, DescriptorProto] = field(default_factory=dict)
    enums: dict[str, EnumDescriptorProto] = field(default_factory=dict)
    services: dict[str, ServiceDescriptorProto] = field(default_factory=dict)
    comments: dict[str, str] = field(default_factory=dict)
    ids: dict[str, str] = field(default_factory=dict)
    plurals: dict[str, str] = field(default_factory=dict)

    @classmethod
    def parse(cls, descriptor_set: bytes) -> "Protos":
        """Reads a FileDescriptorSet with source info and imports."""
        protos = cls()
        for file in FileDescriptorSet.FromString(descriptor_set).file:
            protos._add_messages(file.package, file.message_type)
            protos._add_enums(file.package, file.enum_type)
            protos.comments.update(_comments(file))
            if file.package == PACKAGE:
                protos.services.update({f"{PACKAGE}.{each.name}": each for each in file.service})
                for resource in file.options.Extensions[resource_pb2.resource_definition]:
                    protos._add_resource(resource)
        return protos

    def _add_messages(self, scope: str, messages: Iterable[DescriptorProto]) -> None:
        for message in messages:
            name = f"{scope}.{message.name}"
            self.messages[name] = message
            self._add_messages(name, message.nested_type)
            self._add_enums(name, message.enum_type)
            self._add_resource(message.options.Extensions[resource_pb2.resource])

    def _add_enums(self, scope: str, enums: Iterable[EnumDescriptorProto]) -> None:
        self.enums.update({f"{scope}.{enum.name}": enum for enum in enums})

    def _add_resource(self, resource: Any) -> None:
        for pattern in resource.pattern:
            self.ids.update(_IDS.findall(pattern))
        if resource.plural:
            self.plurals[resource.type.rpartition("/")[2]] = resource.plural


def _comments(file: FileDescriptorProto) -> Iterator[tuple[str, str]]:
    for location in file.source_code_info.location:
        name = _name(file, location.path)
        if location.leading_comments and name:
            lines = location.leading_comments.splitlines()
            yield name, "\n".join(line.removeprefix(" ") for line in lines).strip()


def _name(file: FileDescriptorProto, path: Sequence[int]) -> str | None:
    """What a path of field numbers and indexes leads to (SourceCodeInfo); None for an option."""
    node: Any = file
    names = [file.package]
    for number, index in zip(path[::2], path[1::2], strict=False):
        children = getattr(node, node.DESCRIPTOR.fields_by_number[number].name)
        if not isinstance(children, Sequence) or not hasattr(children[index], "name"):
            return None
        node = children[index]
        names.append(node.name)
    return ".".join(names) if len(path) % 2 == 0 else None
