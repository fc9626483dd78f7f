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
_KEYS = ("api", "access", "private", "signing", "master", "encryption", "ssh")
_SECRETS = "|".join(
    (
        *("passw[a-z]{0,8}", "passphrase", "passcode", "pass$(?<!bypass)(?<!compass)", "pwd"),
        *("pin(?<![a-z]pin)(?![a-z])", "secret", "token", "credentials?", "bearer", "cookie"),
        *("auth(?!or)", "authori[sz]ation", *(f"{key}[-_. ]?key" for key in _KEYS)),
    )
)
_WORDS = re.compile(_SECRETS)
_LAST_WORDS = re.compile(f"(?:{_SECRETS})$")
"""For numbers: `auth_attempts` and `token_count` are no secrets."""

_NO_SECRETS = re.compile(
    "(?:^|next[-_ ]?|previous[-_ ]?)page[-_ ]?token|total[-_ ]?tokens|"
    "tokens?[-_ ]?(?:used|usage|total|count|limit)"
)
"""docs/audit.md has all these words."""

_HINTS = ("pass", "pwd", "pin", "secret", "token", "credential", "auth", "bearer", "cookie", "key")
"""One of these is in every name that is a secret's: without one, a JSON text as PostgreSQL and
Python write it needs no closer look."""

_URL_PASSWORD = re.compile(r'(://[^\s/?#:@"\\]*:)[^\s/?#"\\]+@')
_CREDENTIALS = re.compile(
    r"((?i:bearer +(?!tokens?\b|auth|realm))|(?i:basic) +(?=[\w+/]{8})(?=[\w+/]+[A-Z0-9=]))"
    r"[\w.~+/=-]+"
)
"""Within JSON: neither goes past a quote or a backslash."""

_BEGIN = r"(?:(?<![\w.\\-])|(?<=\\[nrt]))"
"""Of a word; in JSON a line begins after `\\n`. What is sought at each character of a long word
would take for ever."""

_ASSIGNED = re.compile(_BEGIN + r"""([\w.-]{1,64})(=(?:\\"|')?)([^\s&;,"'\\]+)""")
"""As in `?access_token=x`, `--password=x`, `SECRET='x'`."""

_TOKEN = re.compile(rf"kin_[\w-]{{30,}}|{_BEGIN}eyJ[\w-]{{8,}}\.[\w-]{{2,}}\.[\w-]*")
"""Kintsugi's own, or a JSON Web Token."""

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
    """A JSON text without what stands under names that sound like secrets, and in it without the
    passwords of URLs, what follows `Bearer`, `Basic` and such a name with `=`, and tokens."""
    if fields is None:
        return None
    lower = fields.lower()
    text = _URL_PASSWORD.sub(rf"\1{_MASK}@", fields) if "://" in fields else fields
    if "bearer " in lower or "basic " in lower:
        text = _CREDENTIALS.sub(rf"\1{_MASK}", text)
    if "=" in lower:
        text = _ASSIGNED.sub(_masked_assignment, text)
    if "kin_" in lower or "eyj" in lower:
        text = _TOKEN.sub(_MASK, text)
    if not _may_have_secret_name(lower):
        return text
    return json.dumps(_masked(json.loads(text)), ensure_ascii=False)


def _masked_assignment(found: re.Match[str]) -> str:
    name, sign, text = found.groups()
    return f"{name}{sign}{_MASK}" if _is_secret(name, 1 if text.isdecimal() else text) else found[0]


def _masked(value: Any) -> Any:
    if isinstance(value, list):
        return [_masked(each) for each in value]
    if not isinstance(value, dict):
        return value
    return {key: _MASK if _is_secret(key, each) else _masked(each) for key, each in value.items()}


def _may_have_secret_name(lower: str) -> bool:
    return any(_may_be_in_name(hint, lower) for hint in _HINTS)


def _may_be_in_name(hint: str, lower: str) -> bool:
    """A name has a colon right behind its quote; an escaped quote isn't looked behind."""
    at = lower.find(hint)
    while at >= 0:
        end = lower.find('"', at)
        if lower[end - 1] == "\\" or lower.startswith(":", end + 1):
            return True
        at = lower.find(hint, end)
    return False


def _is_secret(name: str, value: Any) -> bool:
    if not value or isinstance(value, bool):
        return False
    lower, words = name.lower(), _LAST_WORDS if isinstance(value, int | float) else _WORDS
    return bool(words.search(lower) and words.search(_NO_SECRETS.sub(" ", lower)))


def link(previous: bytes, content: Sequence[Any]) -> bytes:
    """The hash of an entry: SHA-256 of the hash before it and of its content as a JSON array."""
    text = _ENCODER.encode(content)
    return hashlib.sha256(previous + text.encode()).digest()
