"""A text that grows in one thread and is written down, bit by bit, in another.

It stays in memory whole, so that nothing is lost while it can't be written. Where to is not known
here.
"""

import threading

LONGEST_BYTES = 1_048_576
"""How long a text may grow, in UTF-8: the memory that one takes, whatever becomes of it."""


class TextTooLong(Exception):
    """What was to be added would make a text longer than LONGEST_BYTES; none of it was added."""


class GrowingText:
    """Begins as what is written already. One thread appends, one takes."""

    def __init__(self, text: str) -> None:
        self._lock = threading.Lock()
        self._parts: list[str] = []
        self._bytes = 0
        self.append(text)
        self._taken = self._written = len(self._parts)

    def __str__(self) -> str:
        with self._lock:
            return "".join(self._parts)

    @property
    def is_written(self) -> bool:
        return self._written == len(self._parts)

    def append(self, text: str) -> None:
        """Adds what of it a database can hold. Raises TextTooLong."""
        # Half a surrogate pair has no UTF-8, and PostgreSQL no NUL.
        encoded = text.encode(errors="replace").replace(b"\0", b"")
        with self._lock:
            if self._bytes + len(encoded) > LONGEST_BYTES:
                raise TextTooLong
            self._bytes += len(encoded)
            self._parts.append(encoded.decode())

    def take(self) -> str:
        """What isn't written yet: until `settle` it stays so."""
        with self._lock:
            self._taken = len(self._parts)
            return "".join(self._parts[self._written : self._taken])

    def settle(self) -> None:
        """What was taken last is written."""
        self._written = self._taken

    def rewind(self, length: int) -> None:
        """It turned out that the first `length` characters are written, and no more."""
        with self._lock:
            text = "".join(self._parts)
            self._parts = [text[:length], text[length:]]
            self._taken = self._written = 1
