"""The one `kintsugi up` that acceptance tests share: each uses runs and automations of its own.

Tests that stop, kill or flood it start further ones, with `start_up`.
"""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.acceptance.edges import Edges


@pytest.fixture(scope="session")
def stack(start_for_session: Callable[..., Any]) -> Any:
    """Running; has rest, grpc, health, metrics, workspace, edge and env."""
    return start_for_session("--port", "0", "--workers", "2")


@pytest.fixture(scope="module")
def edges(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Edges]:
    """Starts Envoys before servers of the tests' own, and stops them after the module."""
    started = Edges(tmp_path_factory.mktemp("edges"))
    yield started
    started.stop()
