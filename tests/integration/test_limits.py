"""What one caller may have: calls a second on a machine, calls an hour that start agent work."""

import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import grpc
import psycopg
import pytest
from google.rpc import error_details_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from kintsugi.v1.exception_service_pb2 import WatchExceptionsRequest

from server.domain.access import Membership
from server.domain.call import Call
from server.domain.errors import AgentStartsExhausted, DatabaseUnavailable, NotFound
from server.domain.rates import Rate
from server.operations.agent_starts import AgentStarts
from server.store.connection import Database
from tests.integration.client import WORKSPACE, Client, detail, reason
from tests.integration.conftest import StartServer
from tests.integration.probe import KINDS, SERVICE, Probe
from tests.integration.test_server import KINTSUGI, start_process

SELDOM = Rate(calls=0.001, burst=3)
all_kinds = pytest.mark.parametrize("kind", KINDS)

Start = Callable[..., Probe]


@pytest.fixture
def start() -> Iterator[Start]:
    started: list[Probe] = []

    def start_probe(**options: object) -> Probe:
        given = {"behavior": lambda: "fine"} | options
        started.append(Probe(**given))  # type: ignore[arg-type]
        return started[-1]

    yield start_probe
    for probe in started:
        probe.close()


@pytest.fixture
def connections(database: str) -> Iterator[Database]:
    opened = Database(database, connections=4)
    yield opened
    opened.close()


def refused(call: Callable[[], object]) -> grpc.RpcError:
    with pytest.raises(grpc.RpcError) as error:
        call()
    assert error.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    return error.value


def retry_after(error: grpc.RpcError) -> str:
    return dict(error.trailing_metadata())["retry-after"]


@all_kinds
def test_more_calls_a_second_than_one_caller_may_are_refused(start: Start, kind: str) -> None:
    probe = start(rate=SELDOM)
    for _ in range(3):
        probe.call(kind)
    error = refused(lambda: probe.call(kind))
    assert reason(error) == "RATE_LIMITED"
    [violation] = detail(error, error_details_pb2.QuotaFailure).violations
    assert (violation.subject, violation.quota_id) == ("users/ada", "RATE_LIMITED")
    assert "users/ada may make 0.001 calls a second" in violation.description
    delay = detail(error, error_details_pb2.RetryInfo).retry_delay
    assert 900 < delay.seconds < 1000
    assert retry_after(error) == str(delay.seconds + 1)


def by(principal: str) -> Call:
    return Call("", principal, None, is_everywhere=True)


def test_health_is_told_to_whoever_calls_too_often(start_server: StartServer) -> None:
    client = start_server(calls_per_second=0.001, call_burst=1)
    client.list()
    refused(client.list)
    health = health_pb2_grpc.HealthStub(client.channel)
    for _ in range(5):
        answer = health.Check(health_pb2.HealthCheckRequest())
        assert answer.status == health_pb2.HealthCheckResponse.SERVING


def test_a_stream_is_one_call_however_much_it_sends(start_server: StartServer) -> None:
    client = start_server(calls_per_second=0.001, call_burst=3)
    stream = client.exceptions.WatchExceptions(WatchExceptionsRequest(parent=WORKSPACE))
    next(stream)
    raised = client.raise_one()
    assert next(one for one in stream if one.exception.name).exception == raised
    client.list()
    assert reason(refused(client.list)) == "RATE_LIMITED"
    stream.cancel()


def test_the_processes_of_a_machine_count_together(
    database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KINTSUGI_CALLS_PER_SECOND", "0.001")
    monkeypatch.setenv("KINTSUGI_CALL_BURST", "20")
    monkeypatch.setenv("KINTSUGI_RATES_FILE", str(tmp_path / "rates"))
    started = [start_process(database, tmp_path) for _ in range(2)]
    one, other = (Client(int(address.rpartition(":")[2])) for _, address in started)
    for _ in range(10):
        one.list()
        other.list()
    refused(one.list)
    refused(other.list)
    started[0][0].kill()
    refused(other.list)
    for process, _ in started:
        process.terminate()
        process.wait(30)


def test_a_file_for_rates_that_cannot_be_is_one_clear_line(
    database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KINTSUGI_RATES_FILE", str(tmp_path / "nowhere" / "rates"))
    argv = [KINTSUGI, "serve", "--database-url", database, "--grpc-port", "0"]
    process = subprocess.run(argv, capture_output=True, text=True, timeout=30, check=False)
    assert process.returncode == 1
    [line] = process.stderr.splitlines()
    assert str(tmp_path / "nowhere" / "rates") in line


@all_kinds
def test_more_agent_work_an_hour_than_one_caller_may_start_is_refused(
    start: Start, connections: Database, kind: str
) -> None:
    probe = start(agent_starts=AgentStarts(connections, 3))
    for _ in range(3):
        probe.call(kind)
    error = refused(lambda: probe.call(kind))
    assert reason(error) == "AGENT_STARTS_EXHAUSTED"
    [violation] = detail(error, error_details_pb2.QuotaFailure).violations
    assert (violation.subject, violation.quota_value) == ("users/ada", 3)
    assert "3 calls an hour that start agent work" in violation.description
    delay = detail(error, error_details_pb2.RetryInfo).retry_delay
    assert 3500 < delay.seconds < 3600
    assert retry_after(error) == str(delay.seconds + 1)


def test_what_starts_no_agent_work_is_not_counted_by_the_hour(
    start_server: StartServer, database: str
) -> None:
    client = start_server(agent_starts_per_hour=1)
    for _ in range(3):
        client.list()
    assert starts(database) == []


def test_what_was_refused_as_wrong_has_started_nothing(
    start: Start, connections: Database, database: str
) -> None:
    probe = start(agent_starts=AgentStarts(connections, 3))
    method = probe.channel.unary_unary(f"/{SERVICE}/UnaryUnary")
    with pytest.raises(grpc.RpcError) as error:
        method(b"\x0a\x02\xff\xff", timeout=10)
    assert error.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert starts(database) == []


@all_kinds
def test_what_is_refused_by_its_handler_has_started_nothing(
    start: Start, connections: Database, database: str, kind: str
) -> None:
    errors: list[Exception] = [NotFound("a"), DatabaseUnavailable(), ValueError("a fault")]

    def fail() -> str:
        raise errors.pop(0)

    probe = start(behavior=fail, agent_starts=AgentStarts(connections, 3))
    counted = []
    for _ in range(3):
        with pytest.raises(grpc.RpcError):
            probe.call(kind)
        counted.append(len(starts(database)))
    assert counted == [0, 1, 2]


def test_the_hour_slides(connections: Database, database: str) -> None:
    counted = AgentStarts(connections, 3)
    counted.count(by("users/ada"))
    age(database, "40 minutes")
    counted.count(by("users/ada"))
    counted.count(by("users/ada"))
    with pytest.raises(AgentStartsExhausted) as error:
        counted.count(by("users/ada"))
    assert 19 * 60 < error.value.retry_seconds <= 20 * 60
    counted.count(by("users/bob"))
    age(database, "20 minutes")
    counted.count(by("users/ada"))
    with pytest.raises(AgentStartsExhausted) as error:
        counted.count(by("users/ada"))
    assert 39 * 60 < error.value.retry_seconds <= 40 * 60
    assert len(starts(database)) == 3 + 1  # what is an hour old is no longer kept


def test_a_limit_that_was_lowered_holds_at_once(connections: Database, database: str) -> None:
    for minutes in range(5):
        AgentStarts(connections, 5).count(by("users/ada"))
        age(database, f"{minutes} minutes")
    with pytest.raises(AgentStartsExhausted) as error:
        AgentStarts(connections, 2).count(by("users/ada"))
    assert 52 * 60 < error.value.retry_seconds <= 53 * 60  # of the last two, one is 7 minutes old


def test_the_hours_limit_is_exact_however_many_count_at_once(database: str) -> None:
    """Two processes of eight threads each, that all count at once: as many get through as may."""
    with ProcessPoolExecutor(2, get_context("spawn")) as processes:
        counted = processes.map(count_by_threads, [database] * 2)
    assert sum(counted) == 100
    assert len(starts(database)) == 100


def count_by_threads(database: str) -> int:
    """How many of 8 times 20 are counted; in a process of its own."""
    connections = Database(database, connections=8)
    with ThreadPoolExecutor(8) as threads:
        counted = sum(threads.map(partial(count_some, AgentStarts(connections, 100)), range(8)))
    connections.close()
    return counted


def count_some(agent_starts: AgentStarts, _thread: int) -> int:
    counted = 0
    for _ in range(20):
        with suppress(AgentStartsExhausted):
            agent_starts.count(by("users/ada"))
            counted += 1
    return counted


def starts(database: str) -> list[object]:
    with psycopg.connect(database) as connection:
        rows = connection.execute("SELECT unnest(times) FROM agent_starts").fetchall()
        return [time for (time,) in rows]


def age(database: str, interval: str) -> None:
    """Makes all that was counted older."""
    with psycopg.connect(database) as connection:
        connection.execute(
            "UPDATE agent_starts"
            " SET times = ARRAY(SELECT t - %s::interval FROM unnest(times) AS t ORDER BY t)",
            [interval],
        )


def test_a_token_for_one_workspace_uses_up_nothing_elsewhere() -> None:
    """Who manages a workspace makes tokens of anybody's there."""
    there = {"organizations/o/workspaces/theirs": Membership("their-uid", frozenset())}
    everywhere = Call("", "users/ada", None, is_everywhere=True)
    assert Call("", "users/ada", None, memberships=there).account != everywhere.account
    other = {"organizations/o/workspaces/other": Membership("other-uid", frozenset())}
    accounts = {Call("", "users/ada", None, memberships=each).account for each in (there, other)}
    assert len(accounts) == 2
