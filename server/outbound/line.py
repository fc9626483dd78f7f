"""The line that one request and its answer go over, as `http.client` needs it.

It knows whether anything may have left.
"""

import io
import socket
from collections.abc import Callable
from functools import partial
from typing import Any

from server.outbound.connecting import patiently
from server.outbound.patience import Patience

_MOST = 2 * 1024 * 1024
"""Bytes of an answer with all that is around it; of its body less is read."""


class Line:
    """A connected socket that doesn't block, used with patience.

    `is_used` says whether anything of a request may have left, `is_ended` whether the last read
    came to the end of what the target says.
    """

    def __init__(self, sock: socket.socket, patience: Patience) -> None:
        self._sock = sock
        self._patience = patience
        self._received = 0
        self.is_used = self.is_ended = False

    def sendall(self, data: bytes) -> None:
        """Raises OSError, RanOut."""
        rest = memoryview(data)
        while rest:
            self._patience.check()
            self.is_used = True
            rest = rest[self._step(partial(self._sock.send, rest), to_write=True) :]

    def makefile(self, _mode: str) -> io.BufferedReader:
        return io.BufferedReader(_Reader(self))

    def receive_into(self, buffer: Any) -> int:
        """How many bytes came; 0 at the end. Raises OSError, RanOut."""
        count = self._step(lambda: self._sock.recv_into(buffer), to_write=False)
        self.is_ended = count == 0
        self._received += count
        if self._received > _MOST:
            raise OSError(f"the answer has more than {_MOST} bytes")
        return count

    def close(self) -> None:
        self._sock.close()

    def _step(self, step: Callable[[], int], *, to_write: bool) -> int:
        count: int = patiently(step, self._sock, self._patience, to_write=to_write)
        return count


class _Reader(io.RawIOBase):
    def __init__(self, line: Line) -> None:
        self._line = line

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        return self._line.receive_into(buffer)
