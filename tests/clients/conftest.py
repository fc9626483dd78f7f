"""A service to run the clients of other languages against, which they have to themselves.

They kill its server.
"""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.clients import building
from tests.clients.building import Build
from tests.clients.program import Program


@pytest.fixture(scope="session")
def service(start_for_session: Callable[..., Any]) -> Any:
    """Running, with one server."""
    return start_for_session("--port", "0", "--workers", "1")


@pytest.fixture(scope="module")
def build(tmp_path_factory: pytest.TempPathFactory) -> Build:
    """Builds the client in a language: `build("go")`; gives what starts it."""
    return partial(building.build, tmp_path_factory.mktemp("repository"))


@pytest.fixture
def start(service: Any, program: list[str], tmp_path: Path) -> Iterator[Callable[..., Program]]:
    """Starts the module's program: `start("follow", name)`."""
    started: list[Program] = []

    def start(*arguments: str, token: str = service.token) -> Program:
        output = tmp_path / f"{len(started)}.txt"
        env = service.env | {"KINTSUGI_TOKEN": token}
        started.append(Program([*program, *arguments], env, output))
        return started[-1]

    yield start
    for one in started:
        one.kill()
