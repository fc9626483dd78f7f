"""The patterns of resource names, found in the descriptors by resource type (AIP-123).

How a name is taken apart is in `domain/names.py`.
"""

from collections.abc import Iterator
from functools import cache

from google.api import resource_pb2
from google.protobuf.descriptor import Descriptor, FileDescriptor

_PARENT_SEGMENTS = 2


def own_pattern(message: Descriptor) -> str:
    """The pattern that a resource's message declares for itself, or an empty text."""
    resource = message.GetOptions().Extensions[resource_pb2.resource]
    return resource.pattern[0] if resource.pattern else ""


def referred_pattern(reference: resource_pb2.ResourceReference, file: FileDescriptor) -> str:
    """The pattern of the names that a field may hold: of a resource, or of the parent of one.

    Raises KeyError where `file` and what it imports don't declare the type.
    """
    if reference.type:
        return _patterns(file)[reference.type]
    segments = _patterns(file)[reference.child_type].split("/")
    return "/".join(segments[:-_PARENT_SEGMENTS])


@cache
def _patterns(file: FileDescriptor) -> dict[str, str]:
    return {
        definition.type: definition.pattern[0]
        for each in _with_imports(file)
        for definition in _definitions(each)
        if definition.pattern
    }


def _with_imports(file: FileDescriptor) -> Iterator[FileDescriptor]:
    yield file
    for imported in file.dependencies:
        yield from _with_imports(imported)


def _definitions(file: FileDescriptor) -> Iterator[resource_pb2.ResourceDescriptor]:
    yield from file.GetOptions().Extensions[resource_pb2.resource_definition]
    for message in file.message_types_by_name.values():
        yield message.GetOptions().Extensions[resource_pb2.resource]
