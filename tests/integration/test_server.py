"""A server process as its neighbours see it: health, reflection, deadlines, a gentle end."""

import json
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import grpc
import psycopg
import pytest
from google.protobuf.descriptor_pool import DescriptorPool
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import (
    ProtoReflectionDescriptorDatabase,
)
from kintsugi.v1 import exception_pb2 as pb
from kintsugi.v1.exception_service_pb2 import ResolveExceptionRequest
from sqlalchemy import text

from server.store.connection import Database
from server.store.query import Query
from tests.integration.client import Client, batch, new_exception, reason, violations
from tests.integration.conftest import StartServer
from tests.integration.waiting import until

KINTSUGI = str(Path(sys.executable).with_name("kintsugi"))
SERVICES = ("kintsugi.v1.ExceptionService", "kintsugi.v1.WorkspaceService")


@pytest.fixture
def locked(client: Client, database: str) -> Iterator[tuple[str, psycopg.Connection]]:
    """An exception whose row somebody else has locked."""
    name = client.raise_one().name
    with psycopg.connect(database) as other:
        other.execute("SELECT 1 FROM exceptions FOR UPDATE")
        yield name, other


def test_reflection_describes_every_service(client: Client) -> None:
    database = ProtoReflectionDescriptorDatabase(client.channel)
    assert set(SERVICES) < set(database.get_services())
    found = DescriptorPool(database).FindServiceByName("kintsugi.v1.ExceptionService")
    assert "ResolveException" in [method.name for method in found.methods]


def test_health_is_told_for_each_service(client: Client) -> None:
    health = health_pb2_grpc.HealthStub(client.channel)
    for service in ("", *SERVICES):
        answer = health.Check(health_pb2.HealthCheckRequest(service=service))
        assert answer.status == health_pb2.HealthCheckResponse.SERVING
    with pytest.raises(grpc.RpcError) as error:
        health.Check(health_pb2.HealthCheckRequest(service="nonsense"))
    assert error.value.code() is grpc.StatusCode.NOT_FOUND


def test_an_unknown_method_is_unimplemented(client: Client) -> None:
    for path in ("/kintsugi.v1.ExceptionService/Nonsense", "/nonsense.Service/Method"):
        with pytest.raises(grpc.RpcError) as error:
            client.channel.unary_unary(path)(b"")
        assert error.value.code() is grpc.StatusCode.UNIMPLEMENTED


def test_a_request_of_more_than_4_mib_is_refused(client: Client) -> None:
    large = [new_exception(extra={str(i): "x" * 60_000 for i in range(4)}) for _ in range(18)]
    with pytest.raises(grpc.RpcError) as error:
        batch(client, *large)
    assert error.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert reason(error.value) == "REQUEST_TOO_LARGE"
    assert violations(error.value) == {"request": "has more than 4259840 bytes, which is the most"}
    assert len(batch(client, *large[:17])) == 17


def test_the_clients_deadline_ends_the_transaction(
    client: Client, database: str, locked: tuple[str, psycopg.Connection]
) -> None:
    name, other = locked
    with pytest.raises(grpc.RpcError) as error:
        client.exceptions.ResolveException(ResolveExceptionRequest(name=name), timeout=0.5)
    assert error.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    until(lambda: not waiting_for_locks(database))
    other.rollback()
    assert client.get(name).state == pb.EXCEPTION_STATE_PENDING


def test_without_a_deadline_the_servers_own_holds(
    start_server: StartServer, database: str, locked: tuple[str, psycopg.Connection]
) -> None:
    name, _ = locked
    hasty = start_server(deadline_seconds=0.5)
    with pytest.raises(grpc.RpcError) as error:
        hasty.resolve(name)
    assert error.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    assert reason(error.value) == "DEADLINE_PASSED"
    assert hasty.get(name).state == pb.EXCEPTION_STATE_PENDING


def test_dead_database_connections_are_replaced_unnoticed(client: Client, database: str) -> None:
    name = client.raise_one().name
    kill_connections(database)
    assert client.get(name).name == name
    kill_connections(database)
    assert client.resolve(name).state == pb.EXCEPTION_STATE_RESOLVED


def test_one_caller_keeps_one_connection_busy(database: str) -> None:
    """Others that were needed for a while stay cold: PostgreSQL's caches are each process's own."""
    connections = Database(database, connections=4)
    own = Query(text("SELECT pg_backend_pid()"))
    with ExitStack() as held:
        several = [held.enter_context(connections.transaction()) for _ in range(4)]
        pids = {one.all(own, {})[0][0] for one in several}
    used = {connections.all(own, {})[0][0] for _ in range(20)}
    connections.close()
    assert (len(pids), len(used)) == (4, 1)


def test_texts_are_kept_whatever_encoding_the_environment_asks_for(
    monkeypatch: pytest.MonkeyPatch, start_server: StartServer
) -> None:
    monkeypatch.setenv("PGCLIENTENCODING", "LATIN1")
    client = start_server()
    raised = client.raise_one(message="größer → kleiner", extra={"host": "bücher → 1"})
    assert client.get(raised.name) == raised
    assert raised.extra["host"] == "bücher → 1"


def test_an_unreachable_database_is_said_so(start_server: StartServer, tmp_path: Path) -> None:
    client = start_server(database_url=f"postgresql:///nothing?host={tmp_path}")
    with pytest.raises(grpc.RpcError) as error:
        client.list()
    assert error.value.code() is grpc.StatusCode.UNAVAILABLE
    assert reason(error.value) == "DATABASE_UNAVAILABLE"


def test_sigterm_lets_a_call_in_flight_end(
    database: str, locked: tuple[str, psycopg.Connection], tmp_path: Path
) -> None:
    name, other = locked
    process, address = start_process(database, tmp_path)
    with grpc.insecure_channel(address) as channel, ThreadPoolExecutor(1) as pool:
        client = Client(int(address.rpartition(":")[2]))
        states = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest())
        assert next(states).status == health_pb2.HealthCheckResponse.SERVING
        call = pool.submit(client.resolve, name)
        until(lambda: waiting_for_locks(database))
        process.send_signal(signal.SIGTERM)
        assert next(states).status == health_pb2.HealthCheckResponse.NOT_SERVING
        other.rollback()
        assert call.result().state == pb.EXCEPTION_STATE_RESOLVED
        client.channel.close()
    assert process.wait(30) == 0


def test_what_was_acknowledged_survives_a_kill(database: str, tmp_path: Path) -> None:
    process, address = start_process(database, tmp_path)
    client = Client(int(address.rpartition(":")[2]))
    raised = client.raise_one()
    resolved = client.resolve(raised.name)
    process.kill()
    process.wait(30)
    survivor, address = start_process(database, tmp_path)
    assert Client(int(address.rpartition(":")[2])).get(raised.name) == resolved
    survivor.terminate()
    assert survivor.wait(30) == 0


def test_a_taken_port_is_one_clear_line(database: str, tmp_path: Path) -> None:
    first, address = start_process(database, tmp_path)
    port = address.rpartition(":")[2]
    argv = [KINTSUGI, "serve", "--database-url", database, "--grpc-port", port]
    second = subprocess.run(argv, capture_output=True, text=True, timeout=30, check=False)
    first.terminate()
    first.wait(30)
    assert second.returncode == 1
    [line] = second.stderr.splitlines()
    assert address in line


def start_process(
    database: str, directory: Path, stderr: Any = subprocess.DEVNULL
) -> tuple[subprocess.Popen[bytes], str]:
    """A `kintsugi serve` of its own, and where it answers."""
    ready = directory / f"{uuid.uuid4()}.json"
    argv = [KINTSUGI, "serve", "--database-url", database, "--grpc-port", "0"]
    process = subprocess.Popen([*argv, "--ready-file", str(ready)], stderr=stderr)
    until(ready.exists)
    return process, json.loads(ready.read_text())["grpc"]


def kill_connections(database: str) -> None:
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )


def waiting_for_locks(database: str) -> int:
    with psycopg.connect(database) as connection:
        [(count,)] = connection.execute(
            "SELECT count(*) FROM pg_stat_activity"
            " WHERE datname = current_database() AND wait_event_type = 'Lock'"
        ).fetchall()
        return int(count)


def test_a_log_that_cannot_be_written_fails_no_call(database: str, tmp_path: Path) -> None:
    with Path("/dev/full").open("w") as full:
        process, address = start_process(database, tmp_path, stderr=full)
    client = Client(int(address.rpartition(":")[2]))
    assert client.get(client.raise_one().name).occurrence_count == 1
    process.terminate()
    assert process.wait(30) == 0


def test_a_database_that_was_never_migrated_is_one_clear_line(empty_database: str) -> None:
    argv = [KINTSUGI, "serve", "--database-url", empty_database, "--grpc-port", "0"]
    refused = subprocess.run(argv, capture_output=True, text=True, timeout=30, check=False)
    assert (refused.returncode, len(refused.stderr.splitlines())) == (1, 1)
    assert "kintsugi migrate" in refused.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            ["serve", "--grpc-port", "99999", "--database-url", "postgresql:///x"],
            "KINTSUGI_GRPC_PORT",
        ),
        (["serve", "--database-url", "postgresql:///x?host=/nowhere"], "reach the database"),
        (["migrate", "--database-url", "nonsense"], "postgresql://"),
    ],
)
def test_wrong_settings_are_one_clear_line(words: list[str], said: str) -> None:
    refused = subprocess.run(
        [KINTSUGI, *words], capture_output=True, text=True, timeout=30, check=False
    )
    assert (refused.returncode, len(refused.stderr.splitlines())) == (1, 1)
    assert said in refused.stderr
