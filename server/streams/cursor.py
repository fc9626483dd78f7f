"""Cursors: a position in a log as opaque text, bound by checksum to the log's name.

A cursor is no secret and no permission: it only says where to go on.
"""

import base64
import binascii
import hashlib
import re
from operator import gt

from server.domain.errors import CursorInvalid

_CHECKSUM_BYTES = 9
_NUMBER = re.compile("[0-9]{1,20}")

INT32, INT64, UINT64 = 2**31 - 1, 2**63 - 1, 2**64 - 1
"""The highest numbers that the columns of positions take."""


def encode(log: str, position: str) -> str:
    body = position.encode()
    return base64.urlsafe_b64encode(_checksum(log, body) + body).decode().rstrip("=")


def decode(log: str, cursor: str) -> str:
    """The position. Raises CursorInvalid where the text is damaged or of another log."""
    try:
        raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise CursorInvalid from None
    checksum, body = raw[:_CHECKSUM_BYTES], raw[_CHECKSUM_BYTES:]
    if checksum != _checksum(log, body):
        raise CursorInvalid
    try:
        return body.decode("ascii")
    except UnicodeDecodeError:
        raise CursorInvalid from None


def numbers(text: str, *highest: int) -> tuple[int, ...]:
    """The numbers of a position `1.2.3`, up to the highest ones. Raises CursorInvalid."""
    parts = text.split(".")
    if len(parts) != len(highest) or not all(map(_NUMBER.fullmatch, parts)):
        raise CursorInvalid
    found = tuple(map(int, parts))
    if any(map(gt, found, highest)):
        raise CursorInvalid
    return found


def _checksum(log: str, body: bytes) -> bytes:
    return hashlib.sha256(log.encode() + b"\0" + body).digest()[:_CHECKSUM_BYTES]
