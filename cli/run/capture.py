"""What a command wrote: the last part of each stream, and where each byte lies in the whole.

Where the bytes come from, and what is read out of them, is not known here.
"""

from array import array
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field

KEPT = 64 * 1024
"""Bytes of each stream that are kept: more than is sent, so that no secret is seen in part."""

_PIECE = 4096


@dataclass(frozen=True)
class View:
    """Captured bytes, with the position of each in the whole output.

    `cut` says that something of the same stream came before and is gone.
    """

    text: bytes
    positions: "array[int]"
    cut: bool

    @classmethod
    def of(cls, text: bytes) -> "View":
        """Text as a whole output of its own."""
        return cls(text, array("Q", range(len(text))), cut=False)

    def part(self, start: int, end: int) -> "View":
        return View(self.text[start:end], self.positions[start:end], self.cut and start == 0)

    def span(self) -> tuple[int, int]:
        """First byte, and the byte after the last, in the whole output. Not for an empty view."""
        return self.positions[0], self.positions[-1] + 1


@dataclass
class _Tail:
    """The last pieces of one stream, as (position, bytes)."""

    pieces: deque[tuple[int, bytearray]] = field(default_factory=deque)
    size: int = 0
    cut: bool = False

    def add(self, position: int, data: bytes) -> None:
        last = self.pieces[-1] if self.pieces else None
        if last and last[0] + len(last[1]) == position and len(last[1]) < _PIECE:
            last[1].extend(data)
        else:
            self.pieces.append((position, bytearray(data)))
        self.size += len(data)
        while self.size - len(self.pieces[0][1]) >= KEPT:
            self.size -= len(self.pieces.popleft()[1])
            self.cut = True


class Capture:
    """The output of one command: both streams, in the order in which they were read."""

    def __init__(self) -> None:
        self._stdout = _Tail()
        self._stderr = _Tail()
        self.size = 0

    def add_stdout(self, data: bytes) -> None:
        self._add(self._stdout, data)

    def add_stderr(self, data: bytes) -> None:
        self._add(self._stderr, data)

    def _add(self, tail: _Tail, data: bytes) -> None:
        tail.add(self.size, data)
        self.size += len(data)

    def stdout(self) -> View:
        return _view(self._stdout.pieces, cut=self._stdout.cut)

    def stderr(self) -> View:
        return _view(self._stderr.pieces, cut=self._stderr.cut)

    def both(self) -> View:
        """The last KEPT bytes of both streams, as they came."""
        kept = _view(sorted([*self._stdout.pieces, *self._stderr.pieces]), cut=False)
        return View(kept.text[-KEPT:], kept.positions[-KEPT:], cut=self.size > KEPT)


def _view(pieces: Iterable[tuple[int, bytearray]], *, cut: bool) -> View:
    positions = array("Q")
    for start, data in pieces:
        positions.extend(range(start, start + len(data)))
    return View(b"".join(data for _, data in pieces), positions, cut)
