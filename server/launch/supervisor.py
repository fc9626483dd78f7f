"""Starts PostgreSQL, the server processes, a worker and Envoy, keeps them running, and stops them.

What each of them is told to do is in the modules beside this one.
"""

import json
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from ipaddress import ip_address
from pathlib import Path

import psycopg

from server.launch import child, envoy, health, interruption, ports
from server.launch.certificate import Renewal
from server.launch.child import CannotStart, Child
from server.launch.data_directory import DataDirectory
from server.launch.envoy import Listener
from server.launch.health import Check, Pages
from server.launch.interruption import Stopped, pause
from server.launch.kept import Kept
from server.launch.metrics import Metrics
from server.launch.pinning import Cores
from server.launch.postgres import Postgres

_START_SECONDS = 60
_OLDEST_POSTGRES = 17
_GRACE_SECONDS = 0.8
_END = ((signal.SIGTERM, _GRACE_SECONDS + 0.4),)
_KILL = ((signal.SIGKILL, 0.2),)
_LAST_SECONDS = 3
"""What a worker may take to end after the requests that it waits for."""
_STOP_ENVOY = ((signal.SIGTERM, 0.3), (signal.SIGKILL, 0.2))


@dataclass(frozen=True)
class Options:
    """What the user chose. A port of 0 is a free one; `grpc_port` is the first of `workers`."""

    edge: Listener
    grpc_port: int
    health_port: int
    metrics_port: int
    workers: int
    database_url: str | None = None
    pin: bool = True

    def grpc_ports(self) -> list[int]:
        return [self.grpc_port and self.grpc_port + number for number in range(self.workers)]


@dataclass(frozen=True)
class Addresses:
    """Where everything answers: `host:port`, or a URL where there is only one way to use it.

    `rest` is a URL too: that of `edge`.
    """

    rest: str
    edge: str
    grpc: list[str]
    health: str
    metrics: str


class Supervisor:
    """One `kintsugi up`; to be run from the main thread, since children die with their thread."""

    def __init__(self, options: Options, data: DataDirectory, tell: Callable[[str], None]) -> None:
        """`data` is taken already; `tell` gets the news, a line each."""
        self._options = options
        self._data = data
        self._tell = tell
        self._cores = Cores(pin=options.pin)
        self._database_url = options.database_url or ""
        self._postgres: Postgres | None = None
        self._servers: list[Child] = []
        self._worker: list[Child] = []
        self._grpc: list[str] = []
        self._envoy: list[Child] = []
        self._edge = ""
        self._kept: list[Kept] = []
        certificate = options.edge.certificate
        self._renewal = Renewal(certificate, data.run.resolve()) if certificate else None
        self._metrics = Metrics(data.metrics, self._kept)

    def run(self, ready: Callable[[Addresses], None]) -> None:
        """Starts all, calls `ready`, and returns when a signal has asked for the end.

        Raises CannotStart; whatever was started is stopped again in any case.
        """
        interruption.listen(again=self._kill)
        try:
            addresses = self._start()
            self._data.addresses.write_text(json.dumps(asdict(addresses)))
            ready(addresses)
            self._watch()
        except Stopped:
            pass
        finally:
            self._stop()

    def _start(self) -> Addresses:
        self._check_ports()
        if certificate := self._options.edge.certificate:
            certificate.check()
        self._envoy_command(self._options.edge)  # what is missing is told before anything starts
        health_page, metrics_page = self._pages()
        self._start_database()
        self._migrate()
        token = self._kintsugi("token", "tokens", "owner", "--file", str(self._data.token))
        token.start()  # while the servers do
        self._start_servers()
        self._start_worker()
        self._await_token(token)
        self._start_envoy()
        edge, scheme = self._edge, "https" if self._options.edge.certificate else "http"
        metrics = f"{metrics_page.address}/metrics"
        return Addresses(f"{scheme}://{edge}", edge, self._grpc, health_page.address, metrics)

    def _check_ports(self) -> None:
        chosen = self._options
        edge = ("--port", chosen.edge.host, chosen.edge.port)
        others = [
            *(("--grpc-port", port) for port in chosen.grpc_ports()),
            ("--health-port", chosen.health_port),
            ("--metrics-port", chosen.metrics_port),
        ]
        ports.check([edge, *((flag, ports.HOST, port) for flag, port in others)])

    def _pages(self) -> tuple[Pages, Pages]:
        checks: dict[str, Check] = {
            "database": lambda: health.check_database(self._database_url),
            "servers": lambda: health.check_servers(self._grpc),
            "streams": lambda: health.check_streams(self._grpc),
            "worker": lambda: health.check_running(self._worker),
            "envoy": lambda: health.check_edge(self._edge, tls=self._renewal is not None),
        }
        answers = {"/healthz": health.healthz, "/readyz": lambda: health.readyz(checks)}
        pages = (
            Pages(self._options.health_port, answers),
            Pages(self._options.metrics_port, {"/metrics": self._metrics.page}),
        )
        for page in pages:
            page.start()
        return pages

    def _start_database(self) -> None:
        if self._database_url:
            _check_database(self._database_url)
            return
        self._postgres = Postgres(self._data.path, self._data.log / "postgres.log")
        self._postgres.start()
        self._database_url = self._postgres.url()
        self._kept.append(Kept(self._postgres.child))

    def _migrate(self) -> None:
        migration = self._kintsugi("migrate", "migrate")
        if migration.run() != 0:
            raise self._failure(migration, "failed")

    def _await_token(self, token: Child) -> None:
        """Without one it serves all the same: whoever was an owner may be none any more."""
        if not token.wait(_START_SECONDS) or token.code != 0:
            self._tell(f"there is no new token: {' '.join(token.last_words()[-1:])}")

    def _start_servers(self) -> None:
        for number, port in enumerate(self._options.grpc_ports(), start=1):
            server = self._kintsugi(
                f"server-{number}", *self._serve(number, port), core=self._cores.take()
            )
            self._servers.append(server)
            server.start()
        for number, server in enumerate(self._servers, start=1):
            address = self._await_server(server, self._ready_file(number))
            self._grpc.append(address)
            port = int(address.rpartition(":")[2])
            server.argv = _kintsugi_argv(*self._serve(number, port))  # the same one, from now on
            self._kept.append(Kept(server, self._metrics.forget))

    def _start_worker(self) -> None:
        worker = self._kintsugi("worker", "worker", "--ready-file", str(self._worker_file))
        self._worker.append(worker)
        worker.start()
        self._kept.append(Kept(worker, self._metrics.forget))

    def _serve(self, number: int, port: int) -> list[str]:
        file = self._ready_file(number)
        where = ["--grpc-host", ports.HOST, "--grpc-port", str(port)]
        return ["serve", *where, "--ready-file", str(file)]

    @property
    def _worker_file(self) -> Path:
        return self._data.run / "worker.json"

    def _ready_file(self, number: int) -> Path:
        return self._data.run / f"server-{number}.json"

    def _await_server(self, server: Child, ready: Path) -> str:
        deadline = time.monotonic() + _START_SECONDS
        while not ready.exists():
            if not server.alive:
                raise self._failure(server, f"did not start, it {server.end()}")
            if time.monotonic() > deadline:
                raise self._failure(server, f"was not ready within {_START_SECONDS} s")
            pause(0.02)
        return str(json.loads(ready.read_text())["grpc"])

    def _start_envoy(self) -> None:
        edge = Child("envoy", self._envoy_command(self._options.edge), log=self._log("envoy"))
        self._envoy.append(edge)
        edge.start()
        port = self._await_envoy(edge)
        listener = replace(self._options.edge, port=port)
        edge.argv = self._envoy_command(listener)  # the same one, from now on
        self._kept.append(Kept(edge))
        self._edge = f"{_reached_at(listener.host)}:{port}"

    def _envoy_command(self, listener: Listener) -> list[str]:
        try:
            return envoy.prepare(self._data.run, listener, self._grpc)
        except (envoy.MissingBinary, FileNotFoundError) as missing:
            raise CannotStart(str(missing)) from None

    def _await_envoy(self, edge: Child) -> int:
        deadline = time.monotonic() + _START_SECONDS
        while time.monotonic() < deadline:
            if not edge.alive:
                raise self._failure(edge, f"did not start, it {edge.end()}")
            pause(0)
            with suppress(TimeoutError):
                return envoy.bound_port(self._data.run, timeout=0.5)
        raise self._failure(edge, f"reached no server within {_START_SECONDS} s")

    def _kintsugi(self, name: str, *arguments: str, core: int | None = None) -> Child:
        return Child(
            name,
            _kintsugi_argv(*arguments),
            log=self._log(name),
            env=self._environment(),
            core=core,
        )

    def _log(self, name: str) -> Path:
        log = self._data.log / f"{name}.log"
        child.rotate(log)
        return log

    def _environment(self) -> Mapping[str, str]:
        """The database goes by the environment: its URL may hold a password, and argv is public."""
        kept = {
            name: value
            for name, value in os.environ.items()
            if self._postgres is None or not name.startswith("PG")
        }
        kept.setdefault("KINTSUGI_GRACE_SECONDS", str(_GRACE_SECONDS))
        return kept | {
            "KINTSUGI_DATABASE_URL": self._database_url,
            "KINTSUGI_RATES_FILE": str(self._data.run / "rates"),
            "PROMETHEUS_MULTIPROC_DIR": str(self._data.metrics),
        }

    def _failure(self, failed: Child, what: str) -> CannotStart:
        words = "".join(f"\n  {line}" for line in failed.last_words())
        return CannotStart(f"{failed.name} {what} (log: {failed.log}){words}")

    def _watch(self) -> None:
        while True:
            if self._renewal and (news := self._renewal.tend()):
                self._tell(news)
            for kept in self._kept:
                if news := kept.tend():
                    self._tell(news)
                with suppress(OSError):  # a full disk is no reason to stop
                    child.rotate(kept.child.log)
            pause(0.2)

    def _stop(self) -> None:
        """Servers first, so that they finish their calls through Envoy and on the database; the
        worker with them, so that it lets go of its sessions."""
        child.stop([*self._servers, *self._worker], _END)
        child.stop(self._servers, _KILL)
        for worker in self._worker:
            self._await_requests(worker)
        child.stop(self._worker, _KILL)
        child.stop(self._envoy, _STOP_ENVOY)
        if self._postgres is not None:
            self._postgres.stop()
        self._cores.release()

    def _await_requests(self, worker: Child) -> None:
        """What a worker has sent to target systems ends as it ends: only it knows of that."""
        if worker.alive and (seconds := self._waits_seconds(worker)):
            self._tell(
                f"waiting at most {seconds:g} s for requests to target systems that have left;"
                " Ctrl-C gives up"
            )
            worker.wait(seconds + _LAST_SECONDS)

    def _waits_seconds(self, worker: Child) -> float:
        try:
            told = json.loads(self._worker_file.read_text())
        except (OSError, ValueError):
            return 0
        return float(told.get("waits_seconds", 0)) if told["pid"] == worker.pid else 0

    def _kill(self) -> None:
        own = [self._postgres.child] if self._postgres else []
        for one in [*self._servers, *self._worker, *self._envoy, *own]:
            one.send(signal.SIGKILL)


def _reached_at(host: str) -> str:
    """What is listened to on all addresses is reached from this machine on loopback."""
    if ip_address(host).is_unspecified:
        host = "::1" if ":" in host else ports.HOST
    return f"[{host}]" if ":" in host else host


def _kintsugi_argv(*arguments: str) -> list[str]:
    """-P: a folder called `server` or `cli` where the user happens to be is not ours."""
    return [sys.executable, "-P", "-c", "from cli.main import main; main()", *arguments]


def _check_database(url: str) -> None:
    try:
        with psycopg.connect(url, connect_timeout=5) as connection:
            version = connection.info.server_version // 10000
    except psycopg.Error as error:
        line = str(error).strip().partition("\n")[0]
        raise CannotStart(f"the database of --database-url can't be used: {line}") from None
    if version < _OLDEST_POSTGRES:
        raise CannotStart(
            f"the database of --database-url is PostgreSQL {version}: it takes "
            f"{_OLDEST_POSTGRES} or newer"
        )
