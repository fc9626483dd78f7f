"""Tokens that were looked up in vain, so that asking again and again costs the database nothing.

None of them ever becomes good: what was revoked or has expired stays so, and a token that is made
later has a digest that nobody could have asked for before.
"""

import threading
from time import monotonic

_KEPT_SECONDS = 5.0
_MOST_KEPT = 10_000

Refusal = tuple[str, ...]
"""What CredentialsInvalid is made of."""


class RefusedTokens:
    """The last that were refused, by their digests, each for some seconds."""

    def __init__(self, seconds: float = _KEPT_SECONDS, most: int = _MOST_KEPT) -> None:
        self._seconds = seconds
        self._most = most
        self._lock = threading.Lock()
        self._kept: dict[bytes, tuple[Refusal, float]] = {}

    def __len__(self) -> int:
        return len(self._kept)

    def find(self, digest: bytes) -> Refusal | None:
        """What it was refused with, if that was a short while ago."""
        refusal, at = self._kept.get(digest, (None, 0.0))
        return refusal if monotonic() - at < self._seconds else None

    def add(self, digest: bytes, refusal: Refusal) -> None:
        """Remembers it; the one that was added first makes room."""
        with self._lock:
            self._kept.pop(digest, None)
            while len(self._kept) >= self._most:
                del self._kept[next(iter(self._kept))]
            self._kept[digest] = refusal, monotonic()
