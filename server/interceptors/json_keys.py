"""Refuses JSON bodies with top-level fields that the message doesn't have.

Envoy drops such fields silently; its Lua filter says which keys the body had.
"""

import json
from difflib import get_close_matches
from urllib.parse import unquote

from google.protobuf.descriptor import Descriptor

from server.domain.errors import UnknownField, Violation
from server.interceptors.methods import Method

HEADER = "x-json-keys"
MORE = "*"
"""Stands for the keys that didn't fit into the header."""


def check_json_keys(method: Method, header: str) -> None:
    """Raises UnknownField with all keys that the body's message doesn't have."""
    unknown = _unknown(method.body, header) if method.body is not None else []
    if unknown:
        raise UnknownField(unknown)


def _unknown(message: Descriptor, header: str) -> list[Violation]:
    keys = [_decoded(key) for key in header.split(",") if key]
    names = {name for field in message.fields for name in (field.name, field.json_name)}
    return [(key[:100], _complaint(key, message)) for key in keys if key not in names]


def _complaint(key: str, message: Descriptor) -> str:
    if key == MORE:
        return f"the body has more fields than {message.name} has"
    near = get_close_matches(key, [field.name for field in message.fields], n=1)
    hint = f"; did you mean {near[0]}?" if near else ""
    return f"is not a field of {message.name}{hint}"


def _decoded(key: str) -> str:
    raw = unquote(key, errors="replace")
    try:
        return str(json.loads(f'"{raw}"'))
    except ValueError:
        return raw
