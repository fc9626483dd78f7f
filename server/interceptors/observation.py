"""One log line, and the metrics that every gRPC service has, for every RPC.

Where the metrics are read from is the supervisor's business.
"""

import random
import re
import time
from functools import cache

import grpc
import structlog
from prometheus_client import Counter, Histogram

from server import logs
from server.domain.call import leave
from server.interceptors.rpc import Rpc
from server.interceptors.trace import Begin, Metadata

HEALTH_CHECK = "/grpc.health.v1.Health/Check"

_log = structlog.get_logger()

_METHOD = ("grpc_type", "grpc_service", "grpc_method")
_ENDED = (*_METHOD, "grpc_code")
_STARTED = Counter("grpc_server_started", "RPCs that have begun.", _METHOD)
_HANDLED = Counter("grpc_server_handled", "RPCs that have ended.", _ENDED)
_SECONDS = Histogram(
    "grpc_server_handling_seconds",
    "How long RPCs took, in seconds; streams, as long as they were open.",
    _ENDED,
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
)
_REQUEST_ID = re.compile(r"[\w.-]{1,64}", re.ASCII)


class Observed:
    """Outermost around an RPC: it sees the status that the caller gets."""

    __slots__ = ("_begin", "_end_trace", "_rpc", "_started")

    def __init__(self, rpc: Rpc, begin: Begin) -> None:
        self._rpc = rpc
        self._begin = begin

    def __enter__(self) -> None:
        rpc = self._rpc
        self._started = time.perf_counter()
        trace_id, self._end_trace = self._begin(rpc.path, rpc.metadata)
        logs.begin(request_id=_request_id(rpc.metadata), trace_id=trace_id)
        _started(rpc.path, rpc.kind).inc()

    def __exit__(self, *_: object) -> None:
        leave()
        rpc = self._rpc
        seconds, code = time.perf_counter() - self._started, _code(rpc)
        _count(rpc, code, seconds)
        self._end_trace(code)
        log = _log.debug if rpc.path == HEALTH_CHECK else _log.info  # Envoy asks all the time
        log("rpc", method=rpc.path, code=code, ms=round(seconds * 1000, 2))


def _request_id(metadata: Metadata) -> str:
    """Envoy's, which its caller is told too, or a new one."""
    given = str(metadata.get("x-request-id", ""))
    return given if _REQUEST_ID.fullmatch(given) else f"{random.getrandbits(64):016x}"


def _count(rpc: Rpc, code: str, seconds: float) -> None:
    handled, histogram = _ended(rpc.path, rpc.kind, code)
    handled.inc()
    histogram.observe(seconds)


def refused(path: str, kind: str) -> None:
    """Counts a call that was refused unseen; a line for each would cost more than refusing it."""
    _started(path, kind).inc()
    _ended(path, kind, grpc.StatusCode.RESOURCE_EXHAUSTED.name)[0].inc()


@cache
def _started(path: str, kind: str) -> Counter:
    return _STARTED.labels(kind, *_names(path))


@cache
def _ended(path: str, kind: str, code: str) -> tuple[Counter, Histogram]:
    labels = (kind, *_names(path), code)
    return _HANDLED.labels(*labels), _SECONDS.labels(*labels)


def _names(path: str) -> list[str]:
    """The service and the method of `/service/method`."""
    return path[1:].split("/", 1)


def _code(rpc: Rpc) -> str:
    if rpc.code is not None:
        return rpc.code.name
    return "OK" if rpc.context.is_active() else "CANCELLED"
