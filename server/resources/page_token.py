"""Page tokens: where a list goes on, bound to the parameters it was asked with (AIP-158).

A token is no secret and no permission: everything in it is checked again.
"""

import base64
import binascii
import hashlib
import json
from dataclasses import dataclass
from typing import Any

from server.domain.errors import PageTokenInvalid

_CHECKSUM_BYTES = 12


@dataclass(frozen=True)
class PageToken:
    """The order columns of the last row that was answered, and the count of the first page."""

    after: tuple[Any, ...]
    total_size: int
    is_lower_bound: bool


def encode(token: PageToken, binding: bytes) -> str:
    body = json.dumps([token.after, token.total_size, token.is_lower_bound]).encode()
    return base64.urlsafe_b64encode(_checksum(body, binding) + body).decode().rstrip("=")


def decode(text: str, binding: bytes) -> PageToken:
    """Raises PageTokenInvalid where the text is damaged or was made with another binding."""
    try:
        raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise PageTokenInvalid("is damaged; use next_page_token as it was answered") from None
    checksum, body = raw[:_CHECKSUM_BYTES], raw[_CHECKSUM_BYTES:]
    if checksum != _checksum(body, binding):
        raise PageTokenInvalid(
            "is damaged or belongs to a call with other parameters;"
            " only page_size may change between pages"
        )
    after, total_size, is_lower_bound = json.loads(body)
    return PageToken(tuple(after), total_size, is_lower_bound)


def _checksum(body: bytes, binding: bytes) -> bytes:
    return hashlib.sha256(binding + b"\0" + body).digest()[:_CHECKSUM_BYTES]
