"""When `/readyz` is ready: it is enough that one server serves, but none may be behind.

The doctor wants all of them well, and names those that aren't.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from server.doctor import Deployment, examine
from server.launch.health import Failing, check_edge, check_servers, check_streams
from server.services.health import Health

Start = Callable[[bool], str]


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts a server whose streams are up to date or not; gives its address."""
    started: list[grpc.Server] = []

    def server(is_fresh: bool) -> str:
        made = grpc.server(ThreadPoolExecutor(4))
        health = Health(lambda: is_fresh)
        health.set("", health_pb2.HealthCheckResponse.SERVING)
        health_pb2_grpc.add_HealthServicer_to_server(health, made)
        port = made.add_insecure_port("127.0.0.1:0")
        made.start()
        started.append(made)
        return f"127.0.0.1:{port}"

    yield server
    for each in started:
        each.stop(0).wait()


GONE = "127.0.0.1:1"


def test_one_server_that_serves_is_enough(start: Start) -> None:
    servers = [start(True), GONE]
    assert check_servers(servers) == "1 of 2 serve"
    assert check_streams(servers) == "1 of 2 are up to date"


def test_none_is_not(start: Start) -> None:
    with pytest.raises(Failing, match="none of 1 serves"):
        check_servers([GONE])
    with pytest.raises(Failing, match=GONE):
        check_edge(GONE, tls=False)


def test_a_single_one_whose_streams_are_behind_is_too_many(start: Start) -> None:
    servers = [start(True), start(False)]
    assert check_servers(servers) == "2 of 2 serve"
    with pytest.raises(Failing, match="1 of 2 are behind"):
        check_streams(servers)


def test_the_doctor_names_each_server_that_is_not_well(start: Start, tmp_path: Path) -> None:
    well, behind = start(True), start(False)
    deployment = Deployment(tmp_path, None, GONE, False, [well, behind, GONE], [])
    found = [each for each in examine(deployment) if each.what in ("servers", "streams")]
    assert [(each.level, each.what, each.found) for each in found] == [
        ("wrong", "servers", f"{GONE} doesn't answer"),
        ("wrong", "streams", f"{behind} is behind the database"),
        ("wrong", "streams", f"{GONE} doesn't answer"),
    ]
    assert f"see {tmp_path}/log/server-2.log" in found[1].advice
