"""One log line and two metrics for every RPC.

Where the metrics are read from is the supervisor's business.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

import grpc
import structlog
from prometheus_client import Counter, Histogram

from server.interceptors.rpc import Rpc

HEALTH_CHECK = "/grpc.health.v1.Health/Check"

_log = structlog.get_logger()

_FINISHED = Counter("kintsugi_rpcs", "RPCs that have ended.", ["method", "code"])
_SECONDS = Histogram(
    "kintsugi_rpc_seconds",
    "How long unary RPCs took, in seconds.",
    ["method"],
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
)


@contextmanager
def observation(rpc: Rpc) -> Iterator[None]:
    """Outermost: it sees the status that the caller gets."""
    started = time.perf_counter()
    try:
        yield
    finally:
        seconds = time.perf_counter() - started
        code = _code(rpc)
        _finished(rpc.path, code).inc()
        if not rpc.is_stream:
            _seconds(rpc.path).observe(seconds)
        log = _log.debug if rpc.path == HEALTH_CHECK else _log.info  # Envoy asks all the time
        log("rpc", method=rpc.path, code=code, ms=round(seconds * 1000, 2))


def refused(path: str) -> None:
    """Counts a call that was refused unseen; a line for each would cost more than refusing it."""
    _finished(path, grpc.StatusCode.RESOURCE_EXHAUSTED.name).inc()


@cache
def _finished(path: str, code: str) -> Counter:
    return _FINISHED.labels(path, code)


@cache
def _seconds(path: str) -> Histogram:
    return _SECONDS.labels(path)


def _code(rpc: Rpc) -> str:
    if rpc.code is not None:
        return rpc.code.name
    return "OK" if rpc.context.is_active() else "CANCELLED"
