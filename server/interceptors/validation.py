"""Refuses requests that aren't what their descriptors declare, with everything that is wrong.

The rules are made in `request_rules`; this is where they are applied.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from google.protobuf.message import DecodeError

from server.domain.errors import InvalidFields, RequestTooLarge
from server.interceptors.json_keys import HEADER, check_json_keys
from server.interceptors.methods import Method
from server.interceptors.rpc import Rpc

_NO_MESSAGE = "isn't a message of this method; in names, too, text must be valid UTF-8"


@dataclass(frozen=True)
class Malformed:
    """Stands for a request that isn't a message, and says why."""

    error: InvalidFields


def validate(rpc: Rpc) -> None:
    """Raises InvalidFields or UnknownField before the handler is reached."""
    if rpc.method is not None and HEADER in rpc.metadata:
        check_json_keys(rpc.method, str(rpc.metadata[HEADER]))
    if rpc.request is not None:
        checked(rpc.method, rpc.request)


def checked(method: Method | None, request: Any) -> Any:
    """The request, if it is as declared. A client's stream is checked message by message."""
    if isinstance(request, Malformed):
        raise request.error
    violations = method.rules.violations(request) if method else []
    if violations:
        raise InvalidFields(violations)
    return request


def lenient(deserializer: Callable[[bytes], Any], most_bytes: int) -> Callable[[bytes], Any]:
    """Answers Malformed where the deserializer fails, so that the error gets its right status."""

    def deserialize(data: bytes) -> Any:
        if len(data) > most_bytes:
            return Malformed(RequestTooLarge(most_bytes))
        try:
            return deserializer(data)
        except DecodeError:  # bytes that don't decode, text that isn't UTF-8
            return Malformed(InvalidFields([("request", _NO_MESSAGE)]))

    return deserialize
