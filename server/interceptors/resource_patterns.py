"""The patterns of resource names, found in the descriptors by resource type (AIP-123).

How a name is taken apart is in `domain/names.py`.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TypeAlias

from google.api import resource_pb2
from google.protobuf.descriptor import Descriptor, FileDescriptor

from server.domain.names import compile_pattern

_PARENT_SEGMENTS = 2

Patterns: TypeAlias = Sequence[str]
"""The forms that a name may have; some resources have several kinds of parent."""


def own_patterns(message: Descriptor) -> Patterns:
    """The patterns that a resource's message declares for itself; none, if it is no resource."""
    return tuple(message.GetOptions().Extensions[resource_pb2.resource].pattern)


def declared_patterns(files: Iterable[FileDescriptor]) -> Mapping[str, Patterns]:
    """The patterns of all resource types that the files and what they import declare."""
    return {
        definition.type: tuple(definition.pattern)
        for file in files
        for each in _with_imports(file)
        for definition in _definitions(each)
        if definition.pattern
    }


def referred_patterns(
    reference: resource_pb2.ResourceReference, declared: Mapping[str, Patterns]
) -> Patterns:
    """The patterns of the names that a field may hold: of a resource, or of the parents of one.

    Raises KeyError where the type isn't declared.
    """
    if reference.type:
        return declared[reference.type]
    children = [pattern.split("/") for pattern in declared[reference.child_type]]
    return tuple("/".join(segments[:-_PARENT_SEGMENTS]) for segments in children)


def with_wildcard(patterns: Patterns, variable: str) -> Patterns:
    """Also with `-` in place of the id of that name, which stands for any (AIP-159)."""
    return (*patterns, *(pattern.replace(f"{{{variable}}}", "-") for pattern in patterns))


def fits(name: str, patterns: Patterns) -> bool:
    return any(compile_pattern(pattern).fullmatch(name) for pattern in patterns)


def closest(name: str, patterns: Patterns) -> str:
    """The pattern that was probably meant: most of its collections stand in the name."""
    given = set(name.split("/"))
    return max(patterns, key=lambda pattern: len(given & set(pattern.split("/"))))


def _with_imports(file: FileDescriptor) -> Iterator[FileDescriptor]:
    yield file
    for imported in file.dependencies:
        yield from _with_imports(imported)


def _definitions(file: FileDescriptor) -> Iterator[resource_pb2.ResourceDescriptor]:
    yield from file.GetOptions().Extensions[resource_pb2.resource_definition]
    for message in file.message_types_by_name.values():
        yield message.GetOptions().Extensions[resource_pb2.resource]
