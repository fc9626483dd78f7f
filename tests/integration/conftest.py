"""Servers in this process: one of the test's own, or one that the tests of a module share."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest

from server.app import Server
from server.config import Settings
from server.interceptors import ledger
from tests.integration.client import Client

StartServer = Callable[..., Client]


@contextmanager
def _serving(database: str, **settings: Any) -> Iterator[Client]:
    values = {"database_url": database, "grpc_port": 0, "grace_seconds": 1} | settings
    server = Server(Settings(**values))
    client = Client(server.start())
    yield client
    client.channel.close()
    server.stop()


@pytest.fixture(autouse=True)
def _told() -> None:
    """Has earlier tests' calls logged and counted before this one: it happens a moment later."""
    ledger.tell()


@pytest.fixture
def start_server(database: str) -> Iterator[StartServer]:
    """Starts a server on the test's database; settings can be given by name."""
    with ExitStack() as started:
        yield lambda **settings: started.enter_context(_serving(database, **settings))


@pytest.fixture
def client(start_server: StartServer) -> Client:
    return start_server()


@pytest.fixture(scope="module")
def start_shared(new_database: Callable[[], str]) -> Iterator[Callable[[], Client]]:
    """Starts servers on databases of their own that last as long as the module's tests."""
    with ExitStack() as started:
        yield lambda: started.enter_context(_serving(new_database()))


@pytest.fixture(scope="module")
def shared_client(start_shared: Callable[[], Client]) -> Client:
    """For tests that see only what they made themselves, or make nothing."""
    return start_shared()
