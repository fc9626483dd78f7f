"""What free-form JSON in a request must be: something that can be kept, and answered again.

Which fields hold it is read from the descriptors, in `request_rules`.
"""

from collections.abc import Iterator
from math import isfinite

from google.protobuf.struct_pb2 import ListValue, Struct, Value

from server.domain.errors import Violation


def struct_violations(struct: Struct, path: str, max_bytes: int) -> Iterator[Violation]:
    """What is too large; or a NUL, or a number that JSON doesn't have, anywhere in it."""
    size = struct.ByteSize()
    if max_bytes and size > max_bytes:
        yield path, f"has {size} bytes; at most {max_bytes} are allowed"
    else:
        yield from _in_struct(struct, path)


def _in_struct(struct: Struct, path: str) -> Iterator[Violation]:
    for key, value in struct.fields.items():
        at = f"{path}.{key[:50]}"
        if "\0" in key:
            yield path, "contains a NUL character in a key"
        yield from _in_value(value, at)


def _in_list(values: ListValue, path: str) -> Iterator[Violation]:
    for index, value in enumerate(values.values):
        yield from _in_value(value, f"{path}[{index}]")


def _in_value(value: Value, path: str) -> Iterator[Violation]:
    match value.WhichOneof("kind"):
        case "string_value" if "\0" in value.string_value:
            yield path, "contains a NUL character"
        case "number_value" if not isfinite(value.number_value):
            yield path, "is no number that JSON has"
        case "struct_value":
            yield from _in_struct(value.struct_value, path)
        case "list_value":
            yield from _in_list(value.list_value, path)
        case None:
            yield path, "has no value; for none, say null"
