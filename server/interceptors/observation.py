"""Sees each RPC begin and end, with the status that its caller gets.

How that is counted and logged is said in `ledger`.
"""

import random
import re
import time

from server import logs
from server.domain.call import leave
from server.interceptors import ledger
from server.interceptors.ledger import Ended
from server.interceptors.rpc import Rpc
from server.interceptors.trace import Begin, Metadata

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
        ledger.began(rpc.path, rpc.kind)

    def __exit__(self, *_: object) -> None:
        leave()
        rpc = self._rpc
        seconds, code = time.perf_counter() - self._started, _code(rpc)
        self._end_trace(code)
        ledger.ended(Ended(rpc.path, rpc.kind, code, seconds, time.time(), logs.known()))


def _request_id(metadata: Metadata) -> str:
    """Envoy's, which its caller is told too, or a new one."""
    given = str(metadata.get("x-request-id", ""))
    return given if _REQUEST_ID.fullmatch(given) else f"{random.getrandbits(64):016x}"


def _code(rpc: Rpc) -> str:
    if rpc.code is not None:
        return rpc.code.name
    return "OK" if rpc.context.is_active() else "CANCELLED"
