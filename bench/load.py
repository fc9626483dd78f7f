"""Load: one request sent again and again, 32 at a time, for a while.

By h2load where it is installed; else by Python, which is slower than the server that it loads.
"""

import re
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from http.client import HTTPConnection
from multiprocessing import get_context
from pathlib import Path

import grpc

from bench.measure import SECONDS

CONNECTIONS, STREAMS = 4, 8
_FLOOD_CONNECTIONS, _FLOOD_STREAMS = 32, 125
WARM_UP, STARTING = 0.3, 2.0
"""Seconds before the count: of h2load, and of Python, which starts processes in them."""

H2LOAD = shutil.which("h2load") is not None
TOOL = "h2load" if H2LOAD else "Python (h2load isn't installed)"


@dataclass(frozen=True)
class Request:
    """A gRPC call with this message, or without one a GET, at `host:port`, with a token.

    By HTTP/2, unless the server only has HTTP/1.1: then each call in flight has its connection.
    """

    address: str
    path: str
    token: str
    message: bytes | None = None
    has_http2: bool = True

    @property
    def headers(self) -> dict[str, str]:
        return {"authorization": f"Bearer {self.token}"}

    def send(self) -> bytes:
        """Sends it once and answers the body. Raises where it fails."""
        with _Sender(self) as send:
            return send()


def rate(request: Request) -> float:
    """Requests answered a second. Raises where one fails."""
    return _by_h2load(request) if H2LOAD else _by_python(request)


def answered(request: Request) -> int:
    """How many requests h2load has had answered, when it has sent some for SECONDS."""
    return _codes(_h2load(request, *_in_flight(request)))["2xx"]


def flood(request: Request, a_second: float) -> float:
    """Sends so many requests a second, whatever becomes of them: how many were answered well.

    A second, and by h2load. Raises where one is answered otherwise than well or with 429.
    """
    clients, streams = str(_FLOOD_CONNECTIONS), str(_FLOOD_STREAMS)
    options = ["--clients", clients, "--max-concurrent-streams", streams]
    codes = _codes(_h2load(request, *options, "--rps", f"{a_second / _FLOOD_CONNECTIONS:g}"))
    if codes["5xx"]:
        raise RuntimeError(f"answers under overload: {codes}")
    return codes["2xx"] / SECONDS


def _by_h2load(request: Request) -> float:
    report = _h2load(request, *_in_flight(request), "--warm-up-time", f"{WARM_UP * 1000:g}ms")
    return _answered(report) / SECONDS


def _in_flight(request: Request) -> list[str]:
    connections, streams = CONNECTIONS, STREAMS
    if not request.has_http2:
        connections, streams = CONNECTIONS * STREAMS, 1
    options = ["--clients", str(connections), "--max-concurrent-streams", str(streams)]
    return options if request.has_http2 else [*options, "--h1"]


def _h2load(request: Request, *options: str) -> str:
    """Its report."""
    with tempfile.NamedTemporaryFile() as body:
        command = ["h2load", "--duration", f"{SECONDS:g}", *options]
        command += [f"--header={name}: {value}" for name, value in request.headers.items()]
        if request.message is not None:
            Path(body.name).write_bytes(_framed(request.message))
            command += ["--data", body.name, "--header", "te: trailers"]
            command += ["--header", "content-type: application/grpc"]
        url = f"http://{request.address}{request.path}"
        return subprocess.run([*command, url], check=True, capture_output=True, text=True).stdout


def _answered(report: str) -> int:
    """How many requests h2load says were answered with 2xx. Raises RuntimeError on others."""
    good, *others = _codes(report).values()
    if any(others):
        raise RuntimeError(f"h2load failed:\n{report}")
    return good


def _codes(report: str) -> dict[str, int]:
    """How many answers h2load says had which kind of status, `2xx` first."""
    codes = re.findall(r"(\d+) ([2-5]xx)", report)
    if len(codes) != 4:
        raise RuntimeError(f"h2load failed:\n{report}")
    return {kind: int(count) for count, kind in codes}


def _framed(message: bytes) -> bytes:
    """One uncompressed message as gRPC frames it."""
    return b"\0" + len(message).to_bytes(4, "big") + message


def _by_python(request: Request) -> float:
    start = time.monotonic() + STARTING
    count = partial(_count, request, start)
    with ProcessPoolExecutor(CONNECTIONS, get_context("spawn")) as pool:
        return sum(pool.map(count, range(CONNECTIONS))) / SECONDS


def _count(request: Request, start: float, _process: int) -> int:
    """How many answers the threads of one process get between the start and the end."""
    with _Sender(request) as send, ThreadPoolExecutor(STREAMS) as pool:
        counts = [pool.submit(_count_here, send, start) for _ in range(STREAMS)]
        return sum(count.result() for count in counts)


def _count_here(send: Callable[[], bytes], start: float) -> int:
    count = 0
    while (now := time.monotonic()) < start + SECONDS:
        send()
        count += now >= start
    return count


class _Sender:
    """Sends a request again and again: a gRPC channel for all threads, or a connection for each."""

    def __init__(self, request: Request) -> None:
        self._request = request
        self._closers: list[Callable[[], None]] = []
        self._own = threading.local()

    def __enter__(self) -> Callable[[], bytes]:
        request, message = self._request, self._request.message
        if message is None:
            return self._get
        channel = grpc.insecure_channel(request.address)
        self._closers.append(channel.close)
        call: Callable[..., bytes] = channel.unary_unary(request.path)
        metadata = tuple(request.headers.items())
        return lambda: call(message, timeout=30, metadata=metadata)

    def __exit__(self, *_: object) -> None:
        for close in self._closers:
            close()

    def _get(self) -> bytes:
        connection = self._connection()
        connection.request("GET", self._request.path, headers=self._request.headers)
        answer = connection.getresponse()
        body = answer.read()
        if answer.status != 200:
            raise RuntimeError(f"GET {self._request.path} answered {answer.status}: {body!r}")
        return body

    def _connection(self) -> HTTPConnection:
        if not hasattr(self._own, "connection"):
            self._own.connection = HTTPConnection(self._request.address, timeout=30)
            self._closers.append(self._own.connection.close)
        connection: HTTPConnection = self._own.connection
        return connection
