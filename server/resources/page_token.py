"""Page tokens: where a list goes on, bound to the parameters it was asked with (AIP-158).

A token is no secret and no permission: whoever makes one up is told so, or sees what a list shows.
"""

import base64
import binascii
import hashlib
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import orjson
from sqlalchemy import ColumnElement, Integer, SmallInteger, Text
from sqlalchemy.dialects.postgresql import TIMESTAMP
from sqlalchemy.types import TypeEngine

from server.domain.errors import PageTokenInvalid
from server.domain.timestamps import to_datetime

_CHECKSUM_BYTES = 12
_DAMAGED = "is damaged; use next_page_token as it was answered"
_INT16, _INT32, _INT64 = 2**15, 2**31, 2**63
_INT_LIMITS: dict[type, int] = {SmallInteger: _INT16, Integer: _INT32}


@dataclass(frozen=True)
class PageToken:
    """The order columns of the last row that was answered, and the count of the first page."""

    after: tuple[Any, ...]
    total_size: int
    is_lower_bound: bool


def encode(token: PageToken, binding: bytes) -> str:
    body = orjson.dumps([token.after, token.total_size, token.is_lower_bound])
    return base64.urlsafe_b64encode(_checksum(body, binding) + body).decode().rstrip("=")


def decode(text: str, binding: bytes) -> PageToken:
    """Raises PageTokenInvalid where the text is damaged or was made with another binding."""
    try:
        raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise PageTokenInvalid(_DAMAGED) from None
    checksum, body = raw[:_CHECKSUM_BYTES], raw[_CHECKSUM_BYTES:]
    if checksum != _checksum(body, binding):
        raise PageTokenInvalid(
            "is damaged or belongs to a call with other parameters;"
            " only page_size may change between pages"
        )
    return _read(body)


def order_values(after: Sequence[Any], columns: Sequence[ColumnElement[Any]]) -> list[Any]:
    """The keys of a token as parameters for their columns. Raises PageTokenInvalid."""
    try:
        pairs = zip(columns, after, strict=True)
        return [_order_value(column.type, value) for column, value in pairs]
    except (ValueError, OverflowError):
        raise PageTokenInvalid(_DAMAGED) from None


def _order_value(kind: TypeEngine[Any], value: Any) -> Any:
    if isinstance(kind, Text):
        if isinstance(value, str) and b"\0" not in value.encode():
            return value
    elif type(value) is int and abs(value) < _INT_LIMITS.get(type(kind), _INT64):
        return to_datetime(value) if isinstance(kind, TIMESTAMP) else value
    raise ValueError(value)


def _read(body: bytes) -> PageToken:
    with suppress(orjson.JSONDecodeError):
        match orjson.loads(body):
            case [[*after], int(total_size), bool(is_lower_bound)] if 0 <= total_size < _INT32:
                return PageToken(tuple(after), total_size, is_lower_bound)
    raise PageTokenInvalid(_DAMAGED)


def _checksum(body: bytes, binding: bytes) -> bytes:
    return hashlib.sha256(binding + b"\0" + body).digest()[:_CHECKSUM_BYTES]
