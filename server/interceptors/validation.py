"""Refuses requests that aren't what their descriptors declare, with everything that is wrong.

The rules are made in `request_rules`; this is where they are applied.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from google.protobuf.message import DecodeError

from server.domain.errors import InvalidFields
from server.interceptors.json_keys import check_json_keys
from server.interceptors.rpc import Rpc


@dataclass(frozen=True)
class Malformed:
    """Stands for a request that isn't a message: bytes that don't decode, text that isn't UTF-8."""


@contextmanager
def validation(rpc: Rpc) -> Iterator[None]:
    """Raises InvalidFields or UnknownField before the handler is reached."""
    if isinstance(rpc.request, Malformed):
        what = "isn't a message of this method; in names, too, text must be valid UTF-8"
        raise InvalidFields([("request", what)])
    if rpc.method is not None:
        check_json_keys(rpc.method, rpc.context.invocation_metadata())
        violations = rpc.method.rules.violations(rpc.request)
        if violations:
            raise InvalidFields(violations)
    yield


def lenient(deserializer: Callable[[bytes], Any]) -> Callable[[bytes], Any]:
    """Answers Malformed where the deserializer fails, so that the error gets its right status."""

    def deserialize(data: bytes) -> Any:
        try:
            return deserializer(data)
        except DecodeError:
            return Malformed()

    return deserialize
