"""The one `kintsugi up` that acceptance tests share: each uses runs and automations of its own.

Tests that stop, kill or flood it start further ones, with `start_up`.
"""

from collections.abc import Callable
from typing import Any

import pytest


@pytest.fixture(scope="session")
def stack(start_for_session: Callable[..., Any]) -> Any:
    """Running; has rest, grpc, health, metrics, workspace, edge and env."""
    return start_for_session("--port", "0", "--workers", "2")
