"""What tests stand on: a PostgreSQL from the wheel, databases in it, and whole `kintsugi up`s.

Everything is real; each xdist worker has its own.
"""

import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from functools import cache, cached_property
from pathlib import Path
from typing import Any

from server.launch import child  # before grpc, which it keeps from starting threads in children

# isort: split
import grpc
import httpx
import hypothesis
import psycopg
import pytest

from server.launch.child import Child
from server.launch.postgres import DATABASE, Postgres
from tests.identity import authorized, make_owner

# A shell that started the tests in the background has Ctrl-C ignored, and nohup SIGHUP; children
# inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)

# Else every process that is started would compile our modules again.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

# Else every `httpx.get` would take 20 ms to load the same certificates again.
httpx._transports.default.create_ssl_context = cache(httpx.create_ssl_context)

hypothesis.settings.register_profile("untimed", deadline=None)  # the machine may be busy
hypothesis.settings.load_profile("untimed")

TEMPLATE = "kintsugi_template"
PATIENCE = 60
KINTSUGI = str(Path(sys.executable).with_name("kintsugi"))


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a first start leaves: PostgreSQL's files with a migrated database, which nobody uses.

    Copies of it are quicker than first starts.
    """
    from server.store.migrate import migrate

    with _running(tmp_path_factory.mktemp("cluster")) as server:
        migrate(server.url())
    return server.data


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory, cluster: Path) -> Iterator[Postgres]:
    """A running server that trades safety of the data for speed."""
    directory = tmp_path_factory.mktemp("postgres")
    _copy(cluster, directory)
    with _running(directory) as server:
        yield server


@contextmanager
def _running(directory: Path) -> Iterator[Postgres]:
    server = Postgres(directory, directory / "postgres.log", durable=False)
    server.start()
    yield server
    server.stop()


def _copy(cluster: Path, directory: Path) -> None:
    subprocess.run(["cp", "-a", cluster, directory], check=True)  # files keep their owner


@pytest.fixture
def empty_database(postgres: Postgres) -> Iterator[str]:
    """The URL of a database of the test's own, with nothing in it."""
    with _database(postgres, "") as url:
        yield url


@pytest.fixture
def database(postgres: Postgres, template: str) -> Iterator[str]:
    """The URL of a database of the test's own, as `kintsugi migrate` leaves it."""
    with _database(postgres, f"template {template} strategy wal_log") as url:
        yield url


@pytest.fixture
def database_with(postgres: Postgres) -> Iterator[Callable[[str], str]]:
    """Makes databases of the test's own, by what CREATE DATABASE takes, with nothing in them."""
    with ExitStack() as made:
        yield lambda options: made.enter_context(_database(postgres, options))


@pytest.fixture(scope="module")
def new_database(postgres: Postgres, template: str) -> Iterator[Callable[[], str]]:
    """Makes databases like `database` that the tests of a module share."""
    options = f"template {template} strategy wal_log"
    with ExitStack() as made:
        yield lambda: made.enter_context(_database(postgres, options))


@pytest.fixture(scope="session")
def template(postgres: Postgres) -> str:
    """A migrated database with an owner; others are copied from it: nothing may stay connected."""
    _execute(postgres, f"create database {TEMPLATE} template {DATABASE}")
    make_owner(postgres.url(TEMPLATE))
    return TEMPLATE


@contextmanager
def _database(postgres: Postgres, options: str) -> Iterator[str]:
    name = f"test_{uuid.uuid4().hex}"
    _execute(postgres, f"create database {name} {options}")
    yield postgres.url(name)
    _execute(postgres, f"drop database {name} with (force)")


def _execute(postgres: Postgres, statement: str) -> None:
    with psycopg.connect(postgres.url("postgres"), autocommit=True) as connection:
        connection.execute(statement)  # type: ignore[arg-type]


class Stack:
    """A `kintsugi up` in a process of its own, which dies with the test run."""

    def __init__(self, data_dir: Path, aside: Path, flags: tuple[str, ...], **options: Any) -> None:
        self.data_dir = data_dir
        self.output = aside / "output"
        self.ready_file = aside / "ready.json"
        argv = [KINTSUGI, "up", "--data-dir", str(data_dir), "--ready-file", str(self.ready_file)]
        self.process = Child("kintsugi up", [*argv, *flags], self.output, **options)
        self.process.start()

    def wait_ready(self) -> None:
        _until(lambda: self.ready_file.exists() or not self.process.alive, PATIENCE)
        if not self.process.alive:
            raise AssertionError(f"kintsugi up {self.process.end()}:\n{self.output.read_text()}")
        ready = json.loads(self.ready_file.read_text())
        self.rest: str = ready["rest"]
        self.grpc: list[str] = ready["grpc"]
        self.health: str = ready["health"]
        self.metrics: str = ready["metrics"]
        self.workspace: str = ready["workspace"]
        self.token: str = ready["token"]
        self.edge = self.rest.partition("://")[2]

    @property
    def env(self) -> dict[str, str]:
        """The environment in which the client commands find this one."""
        return os.environ | {
            "KINTSUGI_SERVER": self.rest.removeprefix("http://"),
            "KINTSUGI_WORKSPACE": self.workspace,
            "KINTSUGI_TOKEN_FILE": str(self.data_dir / "token"),
        }

    @property
    def headers(self) -> dict[str, str]:
        """What a request of its owner carries."""
        return {"authorization": f"Bearer {self.token}"}

    @cached_property
    def http(self) -> httpx.Client:
        """Its owner's, with a new connection for each request, as things are killed meanwhile."""
        return httpx.Client(headers=self.headers, limits=httpx.Limits(max_keepalive_connections=0))

    def channel(self, **options: int) -> grpc.Channel:
        """Its owner's, through Envoy."""
        return authorized(grpc.insecure_channel(self.edge, list(options.items())), self.token)

    @property
    def exceptions(self) -> str:
        """The URL of the collection that most tests use."""
        return f"{self.rest}/api/v1/{self.workspace}/exceptions"

    def new_exception(self, automation: str) -> dict[str, object]:
        """The body of a create that is the first of its run."""
        run = f"{self.workspace}/automations/{automation}/runs/{uuid.uuid4().hex}"
        return {"run": run, "location": {}, "message": "KeyError: 'total'"}

    def described(self, name: str) -> Any:
        """An exception once a worker has described it: it changes no more unless asked to."""

        def described() -> bool:
            found = self.http.get(url, timeout=30)
            return found.status_code == 200 and found.json()["description"] != ""

        url = f"{self.rest}/api/v1/{name}"
        assert _until(described, PATIENCE), f"nobody has described {name}"
        return self.http.get(url, timeout=30).json()

    def stop(self, signum: signal.Signals = signal.SIGINT, seconds: float = 20) -> int | None:
        """Asks it to end, waits, and gives its exit code."""
        self.process.send(signum)
        assert self.process.wait(seconds), f"still running {seconds} s after {signum.name}"
        return self.process.code

    def fails(self) -> str:
        """Waits until it has given up, and gives what it said."""
        assert self.process.wait(PATIENCE), "still running"
        assert self.process.code not in (0, None)
        return self.output.read_text()

    def processes(self, of: str = "") -> list[int]:
        """The living processes that work on its data directory, but not itself."""
        return [pid for pid in _working_on(self.data_dir, of) if pid != self.process.pid]

    def children(self) -> list[int]:
        """The processes that it started itself: PostgreSQL, the servers, Envoy."""
        pid = self.process.pid
        return [
            int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        ]

    def wait_gone(self) -> None:
        assert _until(lambda: not self.processes(), 10), f"left behind: {self.processes()}"


def _working_on(directory: Path, of: str) -> Iterator[int]:
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            command = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            where = (process / "cwd").readlink()
            if str(directory) in f"{command} {where}" and of in command:
                yield int(process.name)


def _until(condition: Callable[[], bool], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


@pytest.fixture(scope="session")
def until() -> Callable[[Callable[[], bool], float], bool]:
    """Waits for a condition, up to some seconds; gives whether it came true."""
    return _until


StartUp = Callable[..., Stack]


def _starter(tmp_path_factory: pytest.TempPathFactory, cluster: Path) -> Iterator[StartUp]:
    started: list[Stack] = []

    def new_data(aside: Path, *, in_use: bool) -> Path:
        data_dir = aside / "data"
        if in_use:
            data_dir.mkdir(mode=0o711)
            _copy(cluster, data_dir)
        return data_dir

    def start(
        *flags: str,
        data_dir: Path | None = None,
        env: Mapping[str, str] | None = None,
        enter: Callable[[], None] | None = None,
        ready: bool = True,
    ) -> Stack:
        aside = tmp_path_factory.mktemp("up")
        in_use = ready and not enter and "--database-url" not in flags
        data_dir = data_dir or new_data(aside, in_use=in_use)
        stack = Stack(data_dir, aside, flags, env=env, enter=enter)
        started.append(stack)
        if ready:
            stack.wait_ready()
        return stack

    yield start
    child.stop([one.process for one in started], ((signal.SIGTERM, 10), (signal.SIGKILL, 5)))


@pytest.fixture(scope="session")
def start_for_session(tmp_path_factory: pytest.TempPathFactory, cluster: Path) -> Iterator[StartUp]:
    yield from _starter(tmp_path_factory, cluster)


@pytest.fixture(scope="module")
def start_for_module(tmp_path_factory: pytest.TempPathFactory, cluster: Path) -> Iterator[StartUp]:
    yield from _starter(tmp_path_factory, cluster)


@pytest.fixture
def start_up(tmp_path_factory: pytest.TempPathFactory, cluster: Path) -> Iterator[StartUp]:
    """Starts further ones for one test: `start_up("--port", "0", "--workers", "1")`.

    `data_dir`, `env`, `enter` (run in the child before the program) and `ready=False` (don't wait)
    are for what the flags can't say; with none but `env` it isn't a first start. All are stopped
    after the test.
    """
    yield from _starter(tmp_path_factory, cluster)


@pytest.fixture
def free_ports() -> Callable[[int], int]:
    """Finds the first of some consecutive ports that are free right now.

    They are below those that the system gives to whoever asks for any: none is taken before a
    test comes to use it.
    """

    def find(count: int) -> int:
        while True:
            first = random.randrange(10_000, 30_000)
            with suppress(OSError), ExitStack() as held:
                for port in range(first, first + count):
                    held.enter_context(socket.create_server(("127.0.0.1", port)))
                return first

    return find
