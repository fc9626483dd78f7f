"""A bucket for each principal, in memory that the server processes of a machine share.

Nothing is locked between processes, so that none can hold up another, however it ends.
"""

import mmap
import threading
import time
from collections.abc import Callable
from contextlib import closing
from functools import lru_cache
from hashlib import blake2b
from pathlib import Path

from server.domain.rates import Rate

_SETS, _WAYS = 512, 8
_SLOTS = _SETS * _WAYS
_BYTES = 2 * 8 * _SLOTS


class Buckets:
    """Up to 4,096 buckets: a hash of the principal in one half of the memory, numbers in the other.

    Each hash has eight slots to be in. A newcomer takes the one that is the emptiest: one that is
    empty is as good as new to its owner, and all eight are only in use at once when eight
    principals with the same slots have called within moments.

    A hash and a number are written at once each, 8 bytes. Two processes that count a call at the
    very same instant may count one; nothing else can go wrong, not even where a process is killed.
    """

    def __init__(
        self,
        rate: Rate,
        file: Path | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Without a file they are this process's own. Raises OSError where it can't be used."""
        self.rate = rate
        self._clock = clock  # the machine's, alike in all its processes
        memory = memoryview(_mapped(file))
        self._owners = memory[: _BYTES // 2].cast("Q")
        self._numbers = memory[_BYTES // 2 :].cast("d")
        self._lock = threading.Lock()

    def take(self, principal: str) -> float:
        """Counts a call: 0, or the seconds until it may be made; then it wasn't counted."""
        key = _key(principal)
        with self._lock:
            now = self._clock()
            slot = self._slot(key)
            number = self._numbers[slot]
            wait = self.rate.wait(number, now)
            if not wait:
                self._numbers[slot] = self.rate.counted(number, now)
            return wait

    def _slot(self, key: int) -> int:
        first = key % _SETS * _WAYS
        slots = range(first, first + _WAYS)
        for slot in slots:
            if self._owners[slot] == key:
                return slot
        emptiest = min(slots, key=self._numbers.__getitem__)
        self._numbers[emptiest] = 0
        self._owners[emptiest] = key
        return emptiest


@lru_cache(_SLOTS)
def _key(principal: str) -> int:
    """The same in all processes, which hash() is not."""
    return int.from_bytes(blake2b(principal.encode(), digest_size=8).digest(), "little")


def _mapped(file: Path | None) -> mmap.mmap:
    if file is None:
        return mmap.mmap(-1, _BYTES)
    with closing(file.open("a+b")) as opened:
        opened.truncate(_BYTES)
        return mmap.mmap(opened.fileno(), _BYTES)
