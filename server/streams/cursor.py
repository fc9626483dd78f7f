"""Cursors: a position in a log as opaque text, bound by checksum to the log's name.

A cursor is no secret and no permission: it only says where to go on.
"""

import base64
import binascii
import hashlib

from server.domain.errors import CursorInvalid

_CHECKSUM_BYTES = 9


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
    return body.decode()


def _checksum(log: str, body: bytes) -> bytes:
    return hashlib.sha256(log.encode() + b"\0" + body).digest()[:_CHECKSUM_BYTES]
