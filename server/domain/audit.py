"""What audit entries say: their types, what is masked in them, the hash that chains them.

How they are kept and read is in `store/audit.py`.
"""

import hashlib
import json
import re
from collections.abc import Sequence
from functools import cache
from typing import Any, NamedTuple

CALL_REFUSED = "call.refused"

GENESIS = bytes(32)
"""What stands for the hash before the first entry."""

_METHOD = re.compile(r"(?:Batch|Bulk)?([A-Z][a-z]+)([A-Z]\w*)")
_SECRETS = re.compile(
    "passw|passphrase|passcode|pwd|secret|token|credential|auth(?!or)|authori[sz]ation|bearer|"
    "cookie|(?:api|access|private|signing|master|encryption|ssh)[-_]?key",
    re.IGNORECASE,
)
_HINTS = ("pass", "pwd", "secret", "token", "credential", "auth", "bearer", "cookie", "key")
"""One of these is in every name that is a secret's: without one, a text needs no closer look."""

_HINT_IN_NAME = re.compile(rf'(?:{"|".join(_HINTS)})(?:[^"\\]|\\.)*+"\s*:')
"""In a name of JSON: `KeyError` in a value is none."""

_MASK = "***"
_ENCODER = json.JSONEncoder(separators=(",", ":"))


class Refused(NamedTuple):
    """Calls that were refused for one reason; `workspace` is its name, if they named one."""

    workspace: str
    principal: str
    method: str
    outcome: str


class Last(NamedTuple):
    """How many calls were refused, and with which token and from where the last one came."""

    calls: int
    token: str
    address: str


@cache
def entry_type(method: str, collection: str, *, is_new: bool) -> str:
    """`exception.resolve` of a call of ResolveException that changed one of the `exceptions`.

    What is new beside what the method is about, as a guide entry that is drafted, is created.
    """
    kind = _singular(collection)
    found = _METHOD.fullmatch(method.rpartition("/")[2])
    if found is None:
        return f"{kind}.{'create' if is_new else 'update'}"
    verb, noun = found[1].lower(), _singular(found[2][0].lower() + found[2][1:])
    return f"{kind}.create" if is_new and kind != noun else f"{noun}.{verb}"


def _singular(plural: str) -> str:
    if plural.endswith("ies"):
        return f"{plural[:-3]}y"
    return plural.removesuffix("s")


def masked(fields: str | None) -> str | None:
    """A JSON text without what stands under keys that sound like secrets; numbers may stand."""
    if fields is None or not _may_have_secret_word(fields.lower()):
        return fields
    return json.dumps(_masked(json.loads(fields)), ensure_ascii=False)


def _masked(value: Any) -> Any:
    if isinstance(value, list):
        return [_masked(each) for each in value]
    if not isinstance(value, dict):
        return value
    return {
        key: _MASK if each and _is_text(each) and _has_secret_word(key) else _masked(each)
        for key, each in value.items()
    }


def _is_text(value: Any) -> bool:
    return isinstance(value, str | list | dict)


def _may_have_secret_word(lower: str) -> bool:
    return any(hint in lower for hint in _HINTS) and _HINT_IN_NAME.search(lower) is not None


def _has_secret_word(text: str) -> bool:
    return _SECRETS.search(text) is not None


def link(previous: bytes, content: Sequence[Any]) -> bytes:
    """The hash of an entry: SHA-256 of the hash before it and of its content as a JSON array."""
    text = _ENCODER.encode(content)
    return hashlib.sha256(previous + text.encode()).digest()
