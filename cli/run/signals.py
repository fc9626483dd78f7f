"""Signals while a job is looked after: passed on to the command, or taken as a wish to stop.

What happens after a stop is decided in `exec`.
"""

import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

FROM_KEYBOARD = (signal.SIGINT, signal.SIGQUIT)
"""A terminal sends these to the command too, which needs no second one."""

HANDLED = (*FROM_KEYBOARD, signal.SIGTERM, signal.SIGHUP)

Handler = Callable[[int, FrameType | None], None]


class PassOn:
    """A handler that passes signals to a process, those of before its start included."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self.received: list[int] = []

    def __call__(self, number: int, _frame: FrameType | None) -> None:
        self.received.append(number)
        if self._process and not (number in FROM_KEYBOARD and _in_foreground()):
            self._process.send_signal(number)

    def to(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process
        for number in self.received:
            process.send_signal(number)


def interrupt(_number: int, _frame: FrameType | None) -> None:
    """A handler: whatever is being waited for, stop."""
    raise KeyboardInterrupt


@contextmanager
def handled(handler: Handler) -> Iterator[None]:
    """The handler for all of HANDLED, but not for what we were told to ignore (as by nohup)."""
    before = {
        number: signal.signal(number, handler)
        for number in HANDLED
        if signal.getsignal(number) is not signal.SIG_IGN
    }
    try:
        yield
    finally:
        for number, previous in before.items():
            signal.signal(number, previous)


def _in_foreground() -> bool:
    """Whether a terminal's keys reach this process and its children."""
    try:
        with Path("/dev/tty").open("rb") as terminal:
            return os.tcgetpgrp(terminal.fileno()) == os.getpgrp()
    except OSError:
        return False
