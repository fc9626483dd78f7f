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

import psycopg
from kintsugi.v1 import exception_service_pb2 as service
from prometheus_client import CollectorRegistry
from prometheus_client.multiprocess import MultiProcessCollector

from bench import cores
from bench.load import Request
from server.launch import child, envoy
from server.launch.child import Child
from server.launch.postgres import Postgres
from server.store.migrate import migrate

EXCEPTIONS = 100_000
WORKSPACE = "organizations/local/workspaces/default"

_STOP = ((signal.SIGTERM, 5.0), (signal.SIGKILL, 1.0))
_REPOSITORY = Path(__file__).resolve().parents[1]
_FILL = """
    INSERT INTO exceptions (
        workspace, id, automation, run, start_byte, end_byte, message, execution_id, stage,
        identity, state, description, "group", assignee, extra,
        create_time, update_time, last_occurrence_time
    )
    SELECT
        uid, lpad(to_hex(n), 28, '0'), 'invoices-' || n %% 20, 'run-' || n / 10, 1200, 1290,
        'KeyError: ''total'' in row ' || n || ' of invoices.csv', 'exec-' || n, 2,
        sha256(n::text::bytea), 1 + n %% 3, 'Row ' || n || ' has no total.', 'missing_values',
        'users/ada',
        jsonb_build_object('exit_code', '1', 'host', 'worker-' || n %% 8, 'command', 'sum.py'),
        now() - (%(rows)s - n) * interval '1 second', now(), now()
    FROM workspaces, generate_series(1, %(rows)s) AS n
    WHERE organization = 'local' AND id = 'default'
"""
_COUNT = """
    INSERT INTO exception_counts
    SELECT workspace, automation, "group", state, stage, count(*)
    FROM exceptions
    GROUP BY workspace, automation, "group", state, stage
"""


@dataclass(frozen=True)
class Stage:
    """Addresses are `host:port`. `cores` are the server's, and those of what stands for it."""

    database_url: str
    server: str
    bare: str
    edge: str
    cores: set[int]
    metrics: Path

    @property
    def exception(self) -> str:
        """The name of one of the exceptions."""
        return f"{WORKSPACE}/exceptions/{EXCEPTIONS // 2:028x}"

    def call(self, method: str, message: bytes) -> Request:
        """A gRPC call of a method of ExceptionService."""
        return Request(self.server, f"/{_service_name()}/{method}", message)

    def check(self) -> None:
        """Raises RuntimeError where a call ended otherwise than well or with its connection."""
        registry = CollectorRegistry()
        MultiProcessCollector(registry, str(self.metrics))  # type: ignore[no-untyped-call]
        codes = {
            sample.labels["code"]
            for metric in registry.collect()
            for sample in metric.samples
            if sample.name == "kintsugi_rpcs_total"
        }
        if not codes <= {"OK", "CANCELLED"}:
            raise RuntimeError(f"calls ended with {codes}")


@contextmanager
def stage() -> Iterator[Stage]:
    """Starts everything; this process and all but the server stay off the server's core."""
    subject, others = cores.split()
    with ExitStack() as stack:
        directory = Path(stack.enter_context(TemporaryDirectory(prefix="kintsugi-bench-")))
        stack.enter_context(cores.running_on(others))
        url = stack.enter_context(_database(directory))
        server, bare = stack.enter_context(_server(directory, url, subject))
        edge = stack.enter_context(_edge(directory, server))
        yield Stage(url, server, bare, edge, subject, _metrics(directory))


@contextmanager
def _database(directory: Path) -> Iterator[str]:
    """A durable PostgreSQL, filled and vacuumed."""
    postgres = Postgres(directory, directory / "postgres.log", durable=True)
    try:
        postgres.start()
        migrate(postgres.url())
        with psycopg.connect(postgres.url(), autocommit=True) as connection:
            connection.execute(_FILL, {"rows": EXCEPTIONS})
            connection.execute(_COUNT)
            connection.execute("VACUUM ANALYZE")
            connection.execute("CHECKPOINT")
        yield postgres.url()
    finally:
        postgres.stop()


@contextmanager
def _server(directory: Path, url: str, on: set[int]) -> Iterator[tuple[str, str]]:
    """A server process on its core; metrics in files and logs, as `kintsugi up` has them."""
    metrics, ready = _metrics(directory), directory / "ready"
    metrics.mkdir()
    env = {
        "PROMETHEUS_MULTIPROC_DIR": str(metrics),
        "PYTHONPATH": str(_REPOSITORY),
        "KINTSUGI_MAX_STREAMS": "4000",
        "KINTSUGI_MAX_STREAMS_PER_PRINCIPAL": "4000",
    }
    argv = [sys.executable, "-m", "bench.server", url, str(ready)]
    with _running("server", argv, directory, env, next(iter(on), None)) as server:
        _await(server, ready.exists)
        server_address, bare = json.loads(ready.read_text())
        yield server_address, bare


@contextmanager
def _edge(directory: Path, server: str) -> Iterator[str]:
    argv = envoy.prepare(directory, envoy.Listener(0), [server])
    with _running("Envoy", argv, directory, {}, None):
        yield f"127.0.0.1:{envoy.bound_port(directory, 20)}"


@contextmanager
def _running(
    name: str, argv: list[str], directory: Path, env: Mapping[str, str], core: int | None
) -> Iterator[Child]:
    log = directory / f"{name}.log"
    process = Child(name, argv, log=log, env={**os.environ, **env}, core=core)
    process.start()
    try:
        yield process
    finally:
        child.stop([process], _STOP)


def _await(process: Child, is_ready: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not is_ready():
        if not process.alive or time.monotonic() > deadline:
            raise RuntimeError("\n".join([f"{process.name} did not start", *process.last_words()]))
        time.sleep(0.05)


def _metrics(directory: Path) -> Path:
    return directory / "metrics"


def _service_name() -> str:
    return service.DESCRIPTOR.services_by_name["ExceptionService"].full_name
