"""The one `kintsugi up` that acceptance tests share: each uses runs and automations of its own.

Tests that stop, kill or flood it start further ones, with `start_up`.
"""

import os
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from tests.acceptance.edges import Edges


@pytest.fixture(scope="session")
def stack(start_for_session: Callable[..., Any]) -> Any:
    """Running; has rest, grpc, health, metrics, workspace, edge and env.

    However many tests share it, none finds the hour's agent starts used up.
    """
    env = {**os.environ, "KINTSUGI_AGENT_STARTS_PER_HOUR": "10000"}
    return start_for_session("--port", "0", "--workers", "2", env=env)


@pytest.fixture(scope="module")
def http(stack: Any) -> Iterator[httpx.Client]:
    """Takes names of resources as paths."""
    with httpx.Client(
        base_url=f"{stack.rest}/api/v1/", headers=stack.headers, timeout=30
    ) as client:
        yield client


@pytest.fixture(scope="module")
def new_workspace(http: httpx.Client) -> Callable[[], str]:
    """Makes a workspace and gives its name."""

    def make() -> str:
        parameters = {"workspace_id": f"w-{uuid.uuid4().hex[:12]}"}
        made = http.post("organizations/local/workspaces", params=parameters, json={})
        assert made.status_code == 200, made.text
        return str(made.json()["name"])

    return make


@pytest.fixture
def workspace(new_workspace: Callable[[], str]) -> str:
    """A workspace of the test's own, so that it can count."""
    return new_workspace()


@pytest.fixture(scope="module")
def edges(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Edges]:
    """Starts Envoys before servers of the tests' own, and stops them after the module."""
    started = Edges(tmp_path_factory.mktemp("edges"))
    yield started
    started.stop()
