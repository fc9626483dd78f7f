"""The keys that an identity provider signs with: a JWKS (RFC 7517) in a file or at a URL.

What they have signed is read in `json_web_token`.
"""

import threading
from collections.abc import Iterable, Mapping
from pathlib import Path
from time import monotonic
from urllib.parse import urlsplit

import structlog
from jwt import PyJWK, PyJWKClient, PyJWKSet, PyJWTError

from server.domain.addresses import is_loopback

_GOOD_SECONDS = 300
_PAUSE_SECONDS = 10
_FETCH_SECONDS = 2
_PATIENCE_SECONDS = 0.5

_MALFORMED = (ValueError, TypeError, AttributeError, RecursionError)
"""What PyJWT raises for JSON that is no key set."""

_log = structlog.get_logger()


class KeysUnreadable(Exception):
    """There is no key set at the source; the message says why and is meant for the operator."""


class KeySet:
    """Read again after five minutes, and for a key that isn't in it, once in `pause` seconds.

    One caller at a time does that, for at most two seconds; the others go on with what there is.
    """

    def __init__(self, source: str, pause: float = _PAUSE_SECONDS) -> None:
        """Raises KeysUnreadable, but not for a provider that is away: it may come back."""
        self._source = source
        self._pause = pause
        self._keys: Mapping[str, PyJWK] = {}
        self._reading = threading.Lock()
        self._read_at = monotonic()
        if _is_file(source):
            self._keys = _read(source)
        else:
            self._read_again()

    def find(self, id: str) -> PyJWK | None:
        """The key with that `kid`, if it is known by now."""
        known = id in self._keys
        if monotonic() - self._read_at > (_GOOD_SECONDS if known else self._pause):
            self._refresh(0 if known else _PATIENCE_SECONDS)
        return self._keys.get(id)

    def _refresh(self, patience: float) -> None:
        seen = self._read_at
        if not self._reading.acquire(timeout=patience):
            return
        try:
            if self._read_at == seen:  # else somebody has done it meanwhile
                self._read_again()
        finally:
            self._reading.release()

    def _read_again(self) -> None:
        try:
            self._keys = _read(self._source)
        except KeysUnreadable as error:
            _log.warning("the keys of the identity provider can't be read", reason=str(error))
        self._read_at = monotonic()


def _is_file(source: str) -> bool:
    """Raises KeysUnreadable for a URL over which anybody could bring keys of their own."""
    url = urlsplit(source)
    if url.scheme == "http" and not is_loopback(url.hostname or ""):
        raise KeysUnreadable(f"{source} must be https, so that nobody on the way can replace it")
    return url.scheme not in ("http", "https")


def _read(source: str) -> dict[str, PyJWK]:
    """The keys for signatures, by `kid`. Raises KeysUnreadable."""
    try:
        return {
            key.key_id: key
            for key in _key_set(source)
            if key.key_id and key.public_key_use in (None, "sig")
        }
    except (PyJWTError, OSError, *_MALFORMED) as error:
        raise KeysUnreadable(f"{source} has no key set: {error}") from error


def _key_set(source: str) -> Iterable[PyJWK]:
    if _is_file(source):
        return PyJWKSet.from_json(Path(source).read_text())
    return PyJWKClient(source, cache_jwk_set=False, timeout=_FETCH_SECONDS).get_jwk_set()
