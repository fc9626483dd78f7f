"""Access tokens: `kin_`, 256 random bits, and a checksum against typing errors.

Only their digest is ever stored. That is enough for so many random bits: nobody guesses them, so
a slow hash would only cost.
"""

import base64
import hashlib
import secrets
import zlib

PREFIX = "kin_"

_SECRET_BYTES = 32
_CHECKSUM_BYTES = 4


def new_token() -> str:
    secret = _text(secrets.token_bytes(_SECRET_BYTES))
    return f"{PREFIX}{secret}{_checksum(secret)}"


def digest(token: str) -> bytes | None:
    """What a token is stored and found by; None if it can't be one."""
    secret, checksum = token[len(PREFIX) : -_LENGTH], token[-_LENGTH:]
    if not token.startswith(PREFIX) or not secret or checksum != _checksum(secret):
        return None
    return hashlib.sha256(token.encode()).digest()


def _checksum(secret: str) -> str:
    number = zlib.crc32(secret.encode("utf-8", "surrogatepass"))
    return _text(number.to_bytes(_CHECKSUM_BYTES))


def _text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


_LENGTH = len(_text(bytes(_CHECKSUM_BYTES)))
