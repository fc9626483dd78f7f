"""Looks at a deployment from outside: settings, database, disk, Envoy and the server processes.

It changes nothing; what is found in the database is said in `store/condition.py`.
"""

import json
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from server.config import Settings, unknown_variables, wrong_values
from server.domain.finding import Finding, Level, ok, warning, wrong
from server.launch import health, postgres
from server.launch.data_directory import DataDirectory
from server.launch.health import Check, Failing
from server.store import condition

__all__ = ["Deployment", "Finding", "Level", "examine"]

_EDGE = "127.0.0.1:8080"
_ENVOY_SECONDS = 35
_BESIDE_CALLS = 9
"""Connections of a server process beside one a thread: for streams, upkeep, sending and hearing."""

_LITTLE_BYTES, _SOME_BYTES = 1 << 30, 5 << 30


@dataclass(frozen=True)
class Deployment:
    """What is examined. Addresses are `host:port`; `tls` is the edge's.

    `is_down`: it is that of a `kintsugi up`, which doesn't run.
    """

    data_dir: Path
    database_url: str | None
    edge: str
    tls: bool
    servers: Sequence[str]
    pages: Sequence[str]
    is_down: bool = False

    @classmethod
    def of(
        cls, data_dir: Path, database_url: str | None, edge: str | None, *, tls: bool
    ) -> "Deployment":
        """What is given, and otherwise what `kintsugi up` runs, or last ran, from `data_dir`."""
        data = DataDirectory(data_dir)
        is_down = data.is_left and database_url is None and edge is None
        known = _addresses(data.addresses)
        if database_url is None and (data.path / "postgres").is_dir():
            database_url = postgres.url_in(data.path)
        if edge is None:
            edge, tls = known.get("edge", _EDGE), known.get("rest", "").startswith("https:")
        pages = [f"{known['health']}/healthz", known["metrics"]] if known else []
        return cls(data.path, database_url, edge, tls, known.get("grpc", ()), pages, is_down)


def _addresses(file: Path) -> dict[str, Any]:
    try:
        return dict(json.loads(file.read_text()))
    except (OSError, ValueError):
        return {}


def examine(deployment: Deployment) -> Iterator[Finding]:
    """One finding after the other, as they are made."""
    yield from _settings()
    yield _disk(deployment.data_dir)
    if deployment.is_down:
        log = deployment.data_dir / "log"
        yield wrong("kintsugi up", f"doesn't run on {deployment.data_dir}", f"start it; see {log}")
        return
    if deployment.database_url is None:
        advice = "give --database-url, or the --data-dir of a `kintsugi up`"
        yield wrong("database", f"there is none in {deployment.data_dir}", advice)
    else:
        connections = max(1, len(deployment.servers)) * (_threads() + _BESIDE_CALLS)
        yield from condition.examine(deployment.database_url, connections)
    yield from _processes(deployment)


def _settings() -> Iterator[Finding]:
    unknown = unknown_variables()
    for name, advice in unknown.items():
        yield wrong("settings", f"{name} means nothing", advice)
    try:
        settings = _read_settings()
    except ValidationError as error:
        yield from (wrong("settings", each, "correct it") for each in wrong_values(error))
        return
    if settings.deadline_seconds >= _ENVOY_SECONDS:
        found = f"KINTSUGI_DEADLINE_SECONDS is {settings.deadline_seconds:g}"
        advice = f"set it below {_ENVOY_SECONDS}, after which Envoy gives up, with a worse error"
        yield warning("settings", found, advice)
    elif not unknown:
        yield ok("settings", "all known and within bounds")


def _read_settings() -> Settings:
    """The database is required, and looked at by itself."""
    return Settings(database_url="postgresql:///")


def _threads() -> int:
    try:
        return _read_settings().threads
    except ValidationError:
        return int(Settings.model_fields["threads"].default)


def _disk(directory: Path) -> Finding:
    while not directory.exists():
        directory = directory.parent
    free = shutil.disk_usage(directory).free
    found = f"{free / (1 << 30):.1f} GiB are free in {directory}"
    if free < _LITTLE_BYTES:
        return wrong("disk", found, "free some: PostgreSQL stops when it can't write")
    if free < _SOME_BYTES:
        return warning("disk", found, "free some, or set KINTSUGI_KEEP_EVENTS_DAYS")
    return ok("disk", found)


def _processes(deployment: Deployment) -> Iterator[Finding]:
    log, checks = deployment.data_dir / "log", dict[str, Check]()
    if deployment.servers:
        yield from _servers(deployment.servers, log)
        checks["pages"] = lambda: health.check_pages(deployment.pages)
    checks["envoy"] = lambda: health.check_edge(deployment.edge, tls=deployment.tls)
    for what, check in checks.items():
        try:
            yield ok(what, check())
        except Failing as failing:
            advice = f"see {log}, or start it by `kintsugi up`; elsewhere: set KINTSUGI_SERVER"
            yield wrong(what, str(failing), advice)


def _servers(addresses: Sequence[str], log: Path) -> Iterator[Finding]:
    """Each must be well, though `/readyz` goes on without one that isn't."""
    for what, service, well, ill in (
        ("servers", health.ALL, "serve", "doesn't serve"),
        ("streams", health.STREAMS, "are up to date", "is behind the database"),
    ):
        told = health.statuses(addresses, service)
        unwell = [address for address in addresses if told[address] != health.Status.SERVING]
        for address in unwell:
            found = ill if told[address] is not None else "doesn't answer"
            number = addresses.index(address) + 1
            advice = (
                f"see {log}/server-{number}.log; if it stays so, kill -9 the process that listens"
                " there: `kintsugi up` starts it again"
            )
            yield wrong(what, f"{address} {found}", advice)
        if not unwell:
            yield ok(what, f"{len(addresses)} of {len(addresses)} {well}")
