"""One log line, and the metrics that every gRPC service has, for every RPC, a moment later.

A thread tells them together: in the midst of a call each would cost several times as much. What a
killed process hasn't told yet is lost. Where metrics are read from is the supervisor's business.
"""

import atexit
import threading
from collections import Counter as Tally
from collections import deque
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from time import sleep
from typing import NamedTuple, TypeVar

import grpc
import structlog
from prometheus_client import Counter, Histogram

HEALTH_CHECK = "/grpc.health.v1.Health/Check"

T = TypeVar("T")

_log = structlog.get_logger()

_DELAY_SECONDS = 0.05
_METHOD = ("grpc_type", "grpc_service", "grpc_method")
_CODED = (*_METHOD, "grpc_code")
_STARTED = Counter("grpc_server_started", "RPCs that have begun.", _METHOD)
_HANDLED = Counter("grpc_server_handled", "RPCs that have ended.", _CODED)
_SECONDS = Histogram(
    "grpc_server_handling_seconds",
    "How long RPCs took, in seconds; streams, as long as they were open.",
    _CODED,
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
)


class Ended(NamedTuple):
    """An RPC that has ended, `time` in seconds since 1970, `known` what its log line says too."""

    path: str
    kind: str
    code: str
    seconds: float
    time: float
    known: Mapping[str, str]


_lock = threading.Lock()
_begun: deque[tuple[str, str]] = deque()
_refused: deque[tuple[str, str]] = deque()
_ended: deque[Ended] = deque()


@cache
def keep() -> None:
    """Has what happens told soon, as long as the process lives. Once is enough."""
    threading.Thread(target=_run, name="ledger", daemon=True).start()
    atexit.register(tell)


def began(path: str, kind: str) -> None:
    _begun.append((path, kind))


def refused(path: str, kind: str) -> None:
    """A call that was refused unseen; a line for each would cost more than refusing it."""
    _refused.append((path, kind))


def ended(rpc: Ended) -> None:
    _ended.append(rpc)


def _run() -> None:
    while True:
        sleep(_DELAY_SECONDS)
        if _begun or _refused or _ended:
            tell()


def tell() -> None:
    """Tells at once what has happened until now."""
    with _lock:
        refusals = Tally(_taken(_refused))
        for each, times in (Tally(_taken(_begun)) + refusals).items():
            _starts(*each).inc(times)
        for each, times in refusals.items():
            _ends(*each, grpc.StatusCode.RESOURCE_EXHAUSTED.name)[0].inc(times)
        for rpc in _taken(_ended):
            _tell_ended(rpc)


def _tell_ended(rpc: Ended) -> None:
    handled, histogram = _ends(rpc.path, rpc.kind, rpc.code)
    handled.inc()
    histogram.observe(rpc.seconds)
    log = _log.debug if rpc.path == HEALTH_CHECK else _log.info  # Envoy asks all the time
    moment = datetime.fromtimestamp(rpc.time, UTC).isoformat()
    log(
        "rpc",
        **rpc.known,
        method=rpc.path,
        code=rpc.code,
        ms=round(rpc.seconds * 1000, 2),
        timestamp=moment.replace("+00:00", "Z"),
    )


def _taken(told: deque[T]) -> list[T]:
    return [told.popleft() for _ in range(len(told))]


@cache
def _starts(path: str, kind: str) -> Counter:
    return _STARTED.labels(kind, *_names(path))


@cache
def _ends(path: str, kind: str, code: str) -> tuple[Counter, Histogram]:
    labels = (kind, *_names(path), code)
    return _HANDLED.labels(*labels), _SECONDS.labels(*labels)


def _names(path: str) -> list[str]:
    """The service and the method of `/service/method`."""
    return path[1:].split("/", 1)
