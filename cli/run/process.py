"""Runs a command once, passing its output through byte for byte while a part of it is kept.

What its failure means, and whether it runs again, is decided elsewhere.
"""

import os
import select
import signal
import subprocess
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from select import PIPE_BUF
from typing import IO

from cli.run.capture import Capture
from cli.run.signals import FROM_KEYBOARD, PassOn, handled

CHUNK = 64 * 1024
GRACE = 0.5
"""Seconds of silence after the command's end, when something it left running holds its output."""

AHEAD = 16
"""Chunks that are read before the first of them is written."""

NOT_FOUND, NOT_EXECUTABLE, SIGNALLED = 127, 126, 128

Wait = tuple[int, int, Callable[[], None]]
"""A file descriptor, what has to become possible on it, and what to do then."""


@dataclass(frozen=True)
class Outcome:
    """How an attempt ended: the code a shell would give, the same in words, the output."""

    code: int
    ending: str
    capture: Capture
    signals: Sequence[int] = ()

    @property
    def interrupted(self) -> bool:
        """Whether the keyboard's Ctrl-C or Ctrl-\\ was meant for it."""
        return any(number in FROM_KEYBOARD for number in self.signals)


def run(command: Sequence[str]) -> Outcome:
    """Runs the command to its end: stdin is inherited, stdout and stderr go through pipes."""
    pass_on, capture = PassOn(), Capture()
    with handled(pass_on):
        try:
            process = subprocess.Popen(  # noqa: S603 (running it is what we are for)
                command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0
            )
        except OSError as error:
            return _not_started(error, capture)
        pass_on.to(process)
        _pass_through(process, capture)
    return Outcome(*_ended(process.returncode), capture, pass_on.received)


def _not_started(error: OSError, capture: Capture) -> Outcome:
    if isinstance(error, FileNotFoundError):
        return Outcome(NOT_FOUND, "was not found", capture)
    return Outcome(NOT_EXECUTABLE, f"can't be run: {error.strerror}", capture)


def _ended(returncode: int) -> tuple[int, str]:
    if returncode >= 0:
        return returncode, f"exited with {returncode}"
    try:
        name = signal.Signals(-returncode).name
    except ValueError:
        name = f"signal {-returncode}"
    return SIGNALLED - returncode, f"was killed by {name}"


def _pass_through(process: subprocess.Popen[bytes], capture: Capture) -> None:
    """Copies both streams until they end; one that nobody reads doesn't hold up the other."""
    pairs = (process.stdout, 1, capture.add_stdout), (process.stderr, 2, capture.add_stderr)
    streams = [_Stream(source, target, keep) for source, target, keep in pairs if source]
    while streams := [stream for stream in streams if not stream.done]:
        was_over = process.poll() is not None
        possible = _possible(streams)
        for act in possible:
            act()
        if was_over and not possible and not any(stream.unwritten for stream in streams):
            break
    process.wait()


class _Stream:
    """One stream on its way from the command to where our own goes."""

    def __init__(self, source: IO[bytes], target: int, keep: Callable[[bytes], None]) -> None:
        self.source = source
        self.target = target
        self.keep = keep
        self.unwritten: deque[memoryview] = deque()

    @property
    def done(self) -> bool:
        return self.source.closed and not self.unwritten

    def reads(self) -> Iterator[Wait]:
        if not self.source.closed and len(self.unwritten) < AHEAD:
            yield self.source.fileno(), select.POLLIN, self._read

    def writes(self) -> Iterator[Wait]:
        if self.unwritten:
            yield self.target, select.POLLOUT, self._write

    def _read(self) -> None:
        if data := os.read(self.source.fileno(), CHUNK):
            self.keep(data)
            self.unwritten.append(memoryview(data))
        else:
            self.source.close()

    def _write(self) -> None:
        """Writes as much as can't block. Where nobody reads any more the source is closed, so that
        the command finds out as it would without us.
        """
        first = self.unwritten.popleft()
        try:
            rest = first[os.write(self.target, first[:PIPE_BUF]) :]
        except BlockingIOError:
            rest = first
        except OSError:
            self.source.close()
            self.unwritten.clear()
            return
        if rest:
            self.unwritten.appendleft(rest)


def _possible(streams: Sequence[_Stream]) -> list[Callable[[], None]]:
    """What can be done without blocking, after waiting for something at most GRACE.

    All reads come before the writes, and stdout's first, so that what was written in this order is
    most often kept in it.
    """
    waits = [wait for stream in streams for wait in stream.reads()]
    waits += [wait for stream in streams for wait in stream.writes()]
    poll = select.poll()
    for descriptor, event, _ in waits:
        poll.register(descriptor, event)
    ready = {descriptor for descriptor, _ in poll.poll(GRACE * 1000)}
    return [act for descriptor, _, act in waits if descriptor in ready]
