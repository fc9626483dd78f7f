"""What the benchmarks run on: PostgreSQL with 100,000 exceptions, a server process, Envoy.

It is made anew in a temporary directory for each run, and nothing of it stays.
"""

import json
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import psycopg
from kintsugi.v1 import exception_service_pb2 as service
from prometheus_client import CollectorRegistry
from prometheus_client.multiprocess import MultiProcessCollector

from bench import cores
from bench.load import Request
from server.domain.fingerprint import fingerprint
from server.launch import child, envoy
from server.launch.child import Child
from server.launch.postgres import Postgres
from server.owner import owner_token
from server.store.migrate import migrate

EXCEPTIONS = 100_000
WORKSPACE = "organizations/local/workspaces/default"

_STOP = ((signal.SIGTERM, 5.0), (signal.SIGKILL, 1.0))
_REPOSITORY = Path(__file__).resolve().parents[1]
_FILL = """
    INSERT INTO exceptions (
        workspace, id, automation, run, start_byte, end_byte, message, execution_id, stage,
        identity, state, description, "group", assignee, extra, resolution_note, fingerprint,
        create_time, update_time, last_occurrence_time
    )
    SELECT
        uid, lpad(to_hex(n), 28, '0'), 'invoices-' || n %% 20, 'run-' || n / 10, 1200, 1290,
        'KeyError: ''total'' in row ' || n || ' of invoices.csv', 'exec-' || n, 2,
        sha256(n::text::bytea), 1 + n %% 3, 'Row ' || n || ' has no total.', 'missing_values',
        'users/ada',
        jsonb_build_object('exit_code', '1', 'host', 'worker-' || n %% 8, 'command', 'sum.py'),
        CASE 1 + n %% 3 WHEN 2 THEN 'Added the total of row ' || n ELSE '' END, %(fingerprint)s,
        now() - (%(rows)s - n) * interval '1 second', now(), now()
    FROM workspaces, generate_series(1, %(rows)s) AS n
    WHERE organization = 'local' AND id = 'default'
"""
_COUNT = (
    """
    INSERT INTO exception_counts
    SELECT workspace, automation, "group", state, stage, count(*)
    FROM exceptions
    GROUP BY workspace, automation, "group", state, stage
    """,
    """
    INSERT INTO exception_day_counts
    SELECT workspace, floor(extract(epoch FROM create_time) / 86400), state, count(*)
    FROM exceptions
    GROUP BY workspace, floor(extract(epoch FROM create_time) / 86400), state
    """,
)


@dataclass(frozen=True)
class Stage:
    """Addresses are `host:port`, `token` is an owner's.

    `cores` are the server's, and those of what stands for it. `process` is the server's number.
    """

    database_url: str
    token: str
    server: str
    bare: str
    edge: str
    cores: set[int]
    metrics: Path
    process: int

    @property
    def exception(self) -> str:
        """The name of one of the exceptions."""
        return f"{WORKSPACE}/exceptions/{EXCEPTIONS // 2:028x}"

    def call(self, method: str, message: bytes) -> Request:
        """A gRPC call of a method of ExceptionService."""
        return Request(self.server, f"/{_service_name()}/{method}", self.token, message)

    def server_seconds(self) -> float:
        """The processor's time that the server process has taken so far, in steps of 10 ms."""
        stat = Path(f"/proc/{self.process}/stat").read_text().rpartition(")")[2].split()
        return (int(stat[11]) + int(stat[12])) / os.sysconf("SC_CLK_TCK")

    def check(self) -> None:
        """Raises RuntimeError where a call ended otherwise than well or with its connection."""
        registry = CollectorRegistry()
        MultiProcessCollector(registry, str(self.metrics))  # type: ignore[no-untyped-call]
        codes = {
            sample.labels["grpc_code"]
            for metric in registry.collect()
            for sample in metric.samples
            if sample.name == "grpc_server_handled_total"
        }
        if not codes <= {"OK", "CANCELLED"}:
            raise RuntimeError(f"calls ended with {codes}")


@contextmanager
def stage() -> Iterator[Stage]:
    """Starts everything; this process and all but the server stay off the server's core."""
    subject, others = cores.split()
    with ExitStack() as stack:
        directory = stack.enter_context(temporary_directory())
        stack.enter_context(cores.running_on(others))
        url = stack.enter_context(database(directory)).url()
        _fill(url)
        server, bare, process = stack.enter_context(serving(directory, url, subject))
        edge = stack.enter_context(_edge(directory, server))
        token = owner_token(url, "local", WORKSPACE)
        yield Stage(url, token, server, bare, edge, subject, _metrics(directory), process)


@contextmanager
def temporary_directory() -> Iterator[Path]:
    with TemporaryDirectory(prefix="kintsugi-bench-") as directory:
        yield Path(directory)


@contextmanager
def database(directory: Path) -> Iterator[Postgres]:
    """A durable PostgreSQL, empty."""
    postgres = Postgres(directory, directory / "postgres.log", durable=True)
    try:
        postgres.start()
        yield postgres
    finally:
        postgres.stop()


def _fill(url: str) -> None:
    migrate(url)
    with psycopg.connect(url, autocommit=True) as connection:
        print_of_all = fingerprint("KeyError: 'total' in row 1 of invoices.csv")
        connection.execute(_FILL, {"rows": EXCEPTIONS, "fingerprint": print_of_all})
        settle(connection)


def settle(connection: psycopg.Connection[Any]) -> None:
    """Counts what was filled in behind the counts' back, and leaves nothing to be done later."""
    for statement in (*_COUNT, "VACUUM ANALYZE", "CHECKPOINT"):
        connection.execute(statement)


@contextmanager
def serving(directory: Path, url: str, on: set[int]) -> Iterator[tuple[str, str, int]]:
    """A server process on its core: the addresses of its two servers, and its number.

    It has metrics in files and logs, as under `kintsugi up`.
    """
    metrics, ready = _metrics(directory), directory / "ready"
    metrics.mkdir()
    env = {
        "PROMETHEUS_MULTIPROC_DIR": str(metrics),
        "PYTHONPATH": str(_REPOSITORY),
        "KINTSUGI_CALLS_PER_SECOND": "1000000",
        "KINTSUGI_CALL_BURST": "1000000",
        "KINTSUGI_AGENT_STARTS_PER_HOUR": "10000",
        "KINTSUGI_RATES_FILE": str(directory / "rates"),
        "KINTSUGI_MAX_STREAMS": "4000",
        "KINTSUGI_MAX_STREAMS_PER_PRINCIPAL": "4000",
    }
    argv = [sys.executable, "-m", "bench.server", url, str(ready)]
    with running("server", argv, directory, env, next(iter(on), None)) as server:
        wait_for(server, ready.exists)
        server_address, bare = json.loads(ready.read_text())
        yield server_address, bare, server.pid or 0


@contextmanager
def _edge(directory: Path, server: str) -> Iterator[str]:
    argv = envoy.prepare(directory, envoy.Listener(0), [server])
    with running("Envoy", argv, directory, {}, None):
        yield f"127.0.0.1:{envoy.bound_port(directory, 20)}"


@contextmanager
def running(
    name: str, argv: list[str], directory: Path, env: Mapping[str, str], core: int | None
) -> Iterator[Child]:
    """A process, with its log in the directory."""
    log = directory / f"{name}.log"
    process = Child(name, argv, log=log, env={**os.environ, **env}, core=core)
    process.start()
    try:
        yield process
    finally:
        child.stop([process], _STOP)


def wait_for(process: Child, is_ready: Callable[[], bool]) -> None:
    """Raises RuntimeError where the process ends, or isn't ready after 30 s."""
    deadline = time.monotonic() + 30
    while not is_ready():
        if not process.alive or time.monotonic() > deadline:
            raise RuntimeError("\n".join([f"{process.name} did not start", *process.last_words()]))
        time.sleep(0.05)


def _metrics(directory: Path) -> Path:
    return directory / "metrics"


def _service_name() -> str:
    return service.DESCRIPTOR.services_by_name["ExceptionService"].full_name
