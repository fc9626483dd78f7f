"""Ctrl-C, SIGTERM and SIGHUP: asked for at any time, noticed only where we wait.

An exception raised by a signal handler itself can get lost in code that must not fail.
"""

import signal
import time
from collections.abc import Callable
from types import FrameType

_asked: list[int] = []


class Stopped(Exception):
    """The user asked for the end."""


def listen(again: Callable[[], None]) -> None:
    """From now on `pause` raises Stopped after a signal; further signals call `again`."""

    def handler(signum: int, _frame: FrameType | None) -> None:
        if _asked:
            again()
        _asked.append(signum)

    for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if signum is signal.SIGHUP and signal.getsignal(signum) is signal.SIG_IGN:
            continue  # under nohup
        signal.signal(signum, handler)


def pause(seconds: float) -> None:
    """Sleeps for at most a moment. Raises Stopped."""
    time.sleep(seconds)
    if _asked:
        raise Stopped
