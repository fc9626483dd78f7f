"""Waiting for something to come true, without caring how long it takes."""

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

_FIRST_PAUSE = 0.005
_LONGEST_PAUSE = 0.05


def until(condition: Callable[[], Any], seconds: float = 10) -> None:
    for _ in moments(seconds):
        if condition():
            return
    raise AssertionError("it never came true")


def moments(seconds: float) -> Iterator[None]:
    """When to look, up to so many seconds: more and more rarely, as what is waited for is busy."""
    waiter = threading.Event()
    deadline, pause = time.monotonic() + seconds, _FIRST_PAUSE
    while time.monotonic() < deadline:
        yield
        waiter.wait(pause)
        pause = min(pause * 1.5, _LONGEST_PAUSE)
