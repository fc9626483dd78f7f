"""What is counted is what is there, whatever is raised, changed, folded and broken off at once."""

import os
import random
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from multiprocessing import get_context
from multiprocessing.synchronize import Event

import grpc
import psycopg
import pytest
from alembic import command
from alembic.config import Config
from kintsugi.v1 import exception_pb2 as pb
from sqlalchemy import create_engine, text

from server.domain.errors import DatabaseUnavailable
from server.store.connection import Database
from server.store.count_rollup import differences, fold
from server.store.migrate import MIGRATIONS
from tests.integration.client import WORKSPACE, Client, batch, new_exception
from tests.integration.conftest import StartServer

SOAK = bool(os.environ.get("KINTSUGI_SOAK"))
WRITERS = 6
CHANGES = 3000 if SOAK else 60
"""Of each writer."""

EXPECTED = (
    grpc.StatusCode.FAILED_PRECONDITION,
    grpc.StatusCode.ALREADY_EXISTS,
    grpc.StatusCode.ABORTED,
    grpc.StatusCode.UNAVAILABLE,
)

GROUPS = ("", "missing_values", "user_system_error", "internal_error")


class Writer:
    """Raises and changes exceptions, its own and those that others raise as well."""

    def __init__(self, client: Client, seed: int) -> None:
        self.client = client
        self.dice = random.Random(seed)
        self.names: list[str] = []

    def work(self) -> None:
        ways = [self.create, self.create, self.batch, self.regroup, self.finish, self.unarchive]
        for _ in range(CHANGES):
            try:
                self.dice.choice(ways)()
            except grpc.RpcError as error:
                if error.code() not in EXPECTED:
                    raise

    def create(self) -> None:
        self.names.append(self.client.create(self.any_new()).name)

    def batch(self) -> None:
        raised = [self.any_new() for _ in range(self.dice.randint(1, 8))]
        self.names += [one.name for one in batch(self.client, *raised)]

    def regroup(self) -> None:
        self.client.update("group", name=self.any(), group=self.dice.choice(GROUPS))

    def finish(self) -> None:
        end = self.dice.choice([self.client.resolve, self.client.archive])
        end(self.any(), etag=self.dice.choice(["", "", "1", "stale"]))

    def unarchive(self) -> None:
        self.client.unarchive(self.any())

    def any(self) -> str:
        return self.dice.choice(self.names) if self.names else self.client.raise_one().name

    def any_new(self) -> pb.Exception:
        run = f"{WORKSPACE}/automations/a{self.dice.randrange(5)}/runs/{self.dice.randrange(20)}"
        group, stage = self.dice.choice(GROUPS), self.dice.randrange(3)
        return new_exception(run=run, group=group, stage=stage)


def keep_folding(url: str, over: Event) -> None:
    """What every server process does, without a pause."""
    database = Database(url, connections=1)
    while not over.is_set():
        with suppress(DatabaseUnavailable):
            fold(database, batch=7)
    database.close()


@contextmanager
def folding(url: str, processes: int) -> Iterator[None]:
    context = get_context("spawn")
    over = context.Event()
    started = [context.Process(target=keep_folding, args=(url, over)) for _ in range(processes)]
    for process in started:
        process.start()
    yield
    over.set()
    for process in started:
        process.join(20)
        assert process.exitcode == 0


def break_off(connection: psycopg.Connection[tuple[object, ...]]) -> None:
    """Ends a transaction, of a writer or of one who folds, wherever it is."""
    connection.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE state <> 'idle' AND application_name = 'kintsugi'"
        " AND datname = current_database() AND query NOT LIKE '%FULL JOIN%'"
        " ORDER BY random() LIMIT 1"
    )


@pytest.mark.parametrize("seed", range(5 if SOAK else 1))
def test_the_counts_are_right_at_every_moment_of_a_storm(
    start_server: StartServer, database: str, seed: int
) -> None:
    clients = [start_server(), start_server()]
    writers = [Writer(clients[n % 2], 100 * seed + n) for n in range(WRITERS)]
    connected = Database(database, connections=1)
    with (
        folding(database, 2),
        ThreadPoolExecutor(WRITERS) as pool,
        psycopg.connect(database, autocommit=True) as breaking,
    ):
        working: list[Future[None]] = [pool.submit(writer.work) for writer in writers]
        checks = 0
        while not all(one.done() for one in working):
            assert differences(connected) == []
            checks += 1
            if checks % 10 == 0:
                break_off(breaking)
        for one in working:
            one.result()
    assert checks > 3
    assert differences(connected) == []
    while fold(connected):
        pass
    assert differences(connected) == []
    connected.close()
    with psycopg.connect(database) as connection:
        assert connection.execute("SELECT count(*) FROM exceptions").fetchall()[0][0] > WRITERS
        assert connection.execute("SELECT count(*) FROM exception_count_deltas").fetchall() == [
            (0,)
        ]
        assert connection.execute(
            "SELECT count(*) FROM exception_counts WHERE n <= 0"
        ).fetchall() == [(0,)]


def test_a_wrong_count_is_found(client: Client, database: str) -> None:
    client.raise_one(run=f"{WORKSPACE}/automations/a/runs/1", group="missing_values")
    with psycopg.connect(database) as connection:
        connection.execute("UPDATE exceptions SET automation = 'b'")
    connected = Database(database, connections=1)
    found = [row[1:] for row in differences(connected)]
    connected.close()
    assert sorted(found) == [
        ("a", "missing_values", 1, 0, 1, 0),
        ("b", "missing_values", 1, 0, 0, 1),
    ]


def step_again(url: str, start: str, end: str) -> None:
    """Makes one step of the migrations a second time, and leaves the others alone."""
    config, engine = Config(), create_engine(url)
    config.set_main_option("script_location", str(MIGRATIONS))
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        [newest] = connection.scalars(text("SELECT version_num FROM alembic_version"))
        connection.execute(text("UPDATE alembic_version SET version_num = :at"), {"at": start})
        command.upgrade(config, end)
        connection.execute(text("UPDATE alembic_version SET version_num = :at"), {"at": newest})
    engine.dispose()


def test_exceptions_from_before_the_counts_are_counted(client: Client, database: str) -> None:
    for automation in ("a", "a", "b"):
        client.raise_one(
            run=f"{WORKSPACE}/automations/{automation}/runs/{new_exception().run[-8:]}"
        )
    with psycopg.connect(database) as connection:
        connection.execute(
            "DROP TABLE exception_counts, exception_day_counts, exception_count_deltas;"
            "DROP TABLE exception_groups; DROP INDEX exceptions_group"
        )
    step_again(database, "0003", "0005")
    connected = Database(database, connections=1)
    assert differences(connected) == []
    connected.close()
    assert client.list(filter="automation = a").total_size == 2


def test_an_open_transaction_of_a_writer_holds_nobody_up(client: Client, database: str) -> None:
    """Its own count is folded when it has ended."""
    connected = Database(database, connections=1)
    client.raise_one()
    with psycopg.connect(database) as writer:
        writer.execute(
            "INSERT INTO exception_count_deltas"
            ' (workspace, automation, "group", state, stage, n, day)'
            " SELECT uid, 'slow', '', 1, 0, 1, 20000 FROM workspaces"
        )
        while fold(connected):
            pass
        client.raise_one()
        assert client.list().total_size == 2
        writer.rollback()
    assert client.list().total_size == 2
    assert differences(connected) == []
    connected.close()


def test_a_server_folds_by_itself(client: Client, database: str) -> None:
    from tests.integration.waiting import until

    client.raise_one()
    with psycopg.connect(database, autocommit=True) as connection:
        deltas = "SELECT count(*) FROM exception_count_deltas"
        until(lambda: connection.execute(deltas).fetchall() == [(0,)])
    assert client.list().total_size == 1
