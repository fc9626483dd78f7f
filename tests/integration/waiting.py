"""Waiting for something to come true, without caring how long it takes."""

import threading
from collections.abc import Callable
from typing import Any


def until(condition: Callable[[], Any], seconds: float = 10) -> None:
    waiter = threading.Event()
    for _ in range(int(seconds * 100)):
        if condition():
            return
        waiter.wait(0.01)
    raise AssertionError("it never came true")
