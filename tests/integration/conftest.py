"""A server of the test's own, in this process, on a database of its own."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from server.app import Server
from server.config import Settings
from tests.integration.client import Client

StartServer = Callable[..., Client]


@pytest.fixture
def start_server(database: str) -> Iterator[StartServer]:
    """Starts a server on the test's database; settings can be given by name."""
    started: list[tuple[Server, Client]] = []

    def start(**settings: Any) -> Client:
        values = {"database_url": database, "grpc_port": 0, "grace_seconds": 1} | settings
        server = Server(Settings(**values))
        client = Client(server.start())
        started.append((server, client))
        return client

    yield start
    for server, client in started:
        client.channel.close()
        server.stop()


@pytest.fixture
def client(start_server: StartServer) -> Client:
    return start_server()
