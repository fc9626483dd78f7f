"""The `kintsugi up` in which the tests of a module break things; each finds it whole again."""

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import httpx
import pytest


@pytest.fixture(scope="module")
def stack(start_for_module: Callable[..., Any]) -> Any:
    return start_for_module("--port", "0", "--workers", "2")


@pytest.fixture
def busy(stack: Any, until: Callable[[Callable[[], bool], float], bool]) -> Any:
    """The stack, when all of it answers."""

    def is_whole() -> bool:
        with suppress(httpx.HTTPError):
            is_ready = "2 of 2" in httpx.get(f"{stack.health}/readyz", timeout=30).text
            return is_ready and stack.http.get(stack.exceptions, timeout=30).status_code == 200
        return False

    assert until(is_whole, 60)
    return stack
