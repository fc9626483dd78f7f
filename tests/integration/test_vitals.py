"""What a process says of itself in /metrics: pools, follower lag, whether its counts are right."""

from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest
from kintsugi.v1.exception_service_pb2 import ResolveExceptionRequest
from prometheus_client import REGISTRY

from server.operations.vitals import check_counts
from server.store.connection import Database
from server.store.count_rollup import differences, recount
from server.store.horizon import Horizon
from tests.integration.client import Client
from tests.integration.following import reading, watch
from tests.integration.waiting import until


@pytest.fixture
def connections(database: str) -> Iterator[Database]:
    opened = Database(database, connections=2)
    yield opened
    opened.close()


def value(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, labels) or 0.0


def test_nothing_waits_while_transactions_end(client: Client, connections: Database) -> None:
    horizon = Horizon()
    for _ in range(3):
        client.raise_one()
        assert horizon.lag(connections) == 0.0


def test_an_open_transaction_that_writes_is_a_growing_lag(
    client: Client, connections: Database, postgres: Any
) -> None:
    """Whatever database of the cluster it is in."""
    horizon = Horizon()
    with psycopg.connect(postgres.url("postgres")) as forgotten:
        forgotten.execute("SELECT pg_current_xact_id()")
        client.raise_one()
        horizon.lag(connections)
        first = horizon.lag(connections)
        client.raise_one()
        second = horizon.lag(connections)
        assert 0 < first < second
        until(lambda: value("kintsugi_follower_lag_seconds") > second)
    client.raise_one()
    assert horizon.lag(connections) == 0.0
    until(lambda: value("kintsugi_follower_lag_seconds") == 0.0)


def test_open_streams_and_their_threads_and_connections_are_told(client: Client) -> None:
    streams = value("kintsugi_streams")
    with reading(watch(client)):
        until(lambda: value("kintsugi_streams") == streams + 1)
        until(lambda: value("kintsugi_calls", pool="streams") == 1)
        assert value("kintsugi_calls_queued", pool="streams") == 0
    until(lambda: value("kintsugi_calls", pool="streams") == 0)
    assert value("kintsugi_database_connections", pool="calls", state="idle") >= 1
    assert value("kintsugi_database_connections_limit", pool="calls") == 16


def test_calls_that_wait_for_a_thread_or_a_connection_are_told(
    start_server: Callable[..., Client], database: str
) -> None:
    client = start_server(threads=1)
    name = client.raise_one().name
    with psycopg.connect(database) as other:
        other.execute("SELECT FROM exceptions FOR UPDATE")
        calls = [
            client.exceptions.ResolveException.future(ResolveExceptionRequest(name=name))
            for _ in range(3)
        ]
        until(lambda: value("kintsugi_calls_queued", pool="calls") == 2)
        assert value("kintsugi_calls", pool="calls") == 3
        assert value("kintsugi_database_connections", pool="calls", state="used") == 1
    calls[0].result()
    until(lambda: value("kintsugi_calls", pool="calls") == 0)


def test_counts_that_are_wrong_are_told_and_counted_anew(
    client: Client, connections: Database, database: str
) -> None:
    for _ in range(3):
        client.raise_one()
    client.resolve(client.raise_one().name)
    check_counts(connections)
    assert value("kintsugi_counts_wrong") == 0
    with psycopg.connect(database) as sql:
        first = "(SELECT min(number) FROM exceptions)"
        sql.execute(f"UPDATE exceptions SET state = 3 WHERE number = {first}")
    check_counts(connections)
    assert value("kintsugi_counts_wrong") == 4  # two kinds, and the day of two states
    assert client.list(filter="state = PENDING").total_size == 3
    recount(database)
    check_counts(connections)
    assert value("kintsugi_counts_wrong") == 0
    assert differences(connections) == []
    assert client.list(filter="state = PENDING").total_size == 2


def test_one_process_at_a_time_compares_counts(connections: Database, database: str) -> None:
    check_counts(connections)
    with psycopg.connect(database) as sql:
        sql.execute(f"SELECT pg_advisory_xact_lock({0x636865636B})")
        sql.execute("INSERT INTO exception_counts SELECT uid, 'a', '', 1, 1, 1 FROM workspaces")
        check_counts(connections)
    assert value("kintsugi_counts_wrong") == 0
    check_counts(connections)
    assert value("kintsugi_counts_wrong") == 1
