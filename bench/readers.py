"""Many readers of streams in one process: NDJSON over HTTP/1.1, each on a connection of its own.

It only looks for the time that a writer put into its message, so that it costs little beside what
it measures.
"""

import re
import selectors
import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass

_REQUEST = (
    "GET /api/v1/{thread}/events:stream HTTP/1.1\r\n"
    "host: localhost\r\nauthorization: Bearer {token}\r\n\r\n"
)
_STAMP = re.compile(rb"sent at (\d+) ")
_PIECE = 65536


def stamp() -> str:
    """What a message says, so that a reader knows how long it took."""
    return f"sent at {time.monotonic_ns()} "


@dataclass
class _Reader:
    connection: socket.socket
    rest: bytes = b""


class Readers:
    """Streams of these threads, one each; the same thread may come often."""

    def __init__(self, edge: str, token: str, threads: Sequence[str]) -> None:
        host, _, port = edge.partition(":")
        self._selector = selectors.DefaultSelector()
        self._readers = [_Reader(socket.create_connection((host, int(port)))) for _ in threads]
        for reader, thread in zip(self._readers, threads, strict=True):
            request = _REQUEST.format(thread=thread, token=token)
            reader.connection.sendall(request.encode())
            self._selector.register(reader.connection, selectors.EVENT_READ, reader)

    def __enter__(self) -> "Readers":
        return self

    def __exit__(self, *_: object) -> None:
        for reader in self._readers:
            reader.connection.close()
        self._selector.close()

    def read(self, count: int, seconds: float) -> list[float]:
        """How many milliseconds each of the next `count` messages took.

        Raises RuntimeError where one is missing after `seconds`, or a stream has ended.
        """
        delays: list[float] = []
        end = time.monotonic() + seconds
        while len(delays) < count:
            if time.monotonic() > end:
                raise RuntimeError(f"{count - len(delays)} of {count} messages didn't arrive")
            for key, _ in self._selector.select(0.1):
                delays += self._receive(key.data)
        return delays

    def _receive(self, reader: _Reader) -> list[float]:
        piece = reader.connection.recv(_PIECE)
        if not piece:
            raise RuntimeError("a stream has ended")
        now = time.monotonic_ns()
        lines = (reader.rest + piece).split(b"\n")
        reader.rest = lines.pop()
        found = (match for line in lines for match in _STAMP.finditer(line))
        return [(now - int(match[1])) / 1e6 for match in found]
