"""The supervisor's HTTP answers: `/healthz`, `/readyz` and `/metrics`, for all processes.

It asks the database and the servers from outside, as their users do.
"""

import json
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple, Protocol
from urllib.request import urlopen

import grpc
import psycopg
from grpc_health.v1 import health_pb2

from server.launch.ports import HOST

_Status = health_pb2.HealthCheckResponse

_SECONDS = 2

_ALL, _STREAMS = "", "streams"
"""What of a server is asked: whether it serves, and whether its streams are up to date."""


class Answer(NamedTuple):
    code: int
    content_type: str
    body: bytes


class Failing(Exception):
    """A check that fails, with what is wrong, for people."""


Check = Callable[[], str]
"""Gives what it found, or raises Failing."""


class _Server(ThreadingHTTPServer):
    def handle_error(self, request: object, client_address: object) -> None:
        """Nothing: a client that went away is its own affair."""


class Pages:
    """A small HTTP server on a port of its own (0: a free one), bound as soon as it is made."""

    def __init__(self, port: int, pages: Mapping[str, Callable[[], Answer]]) -> None:
        self._server = _Server((HOST, port), _handler(pages))
        self._server.daemon_threads = True

    @property
    def address(self) -> str:
        return f"http://{HOST}:{self._server.server_address[1]}"

    def start(self) -> None:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.server_close()


def _handler(pages: Mapping[str, Callable[[], Answer]]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        timeout = 10

        def do_GET(self) -> None:
            page = pages.get(self.path.partition("?")[0])
            self._send(page() if page else _json(404, {"message": f"try {', '.join(pages)}"}))

        do_HEAD = do_GET  # noqa: N815

        def _send(self, answer: Answer) -> None:
            self.send_response(answer.code)
            self.send_header("Content-Type", answer.content_type)
            self.send_header("Content-Length", str(len(answer.body)))
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(answer.body)

        def log_message(self, format: str, *args: object) -> None:
            """Nothing: a probe every second is not worth a line."""

    return Handler


def healthz() -> Answer:
    """The supervisor lives, and says nothing about the others."""
    return _json(200, {"status": "ok"})


def readyz(checks: Mapping[str, Check]) -> Answer:
    """200 if every check passes, else 503; either way what each of them found."""
    failed = False
    found = {}
    for name, check in checks.items():
        try:
            found[name] = check()
        except Failing as failing:
            found[name], failed = f"failing: {failing}", True
    status = "not ready" if failed else "ready"
    return _json(503 if failed else 200, {"status": status, "checks": found})


def check_database(url: str) -> str:
    if not url:
        raise Failing("is being started")
    try:
        with psycopg.connect(url, connect_timeout=_SECONDS) as connection:
            connection.execute("select 1")
    except psycopg.Error as error:
        raise Failing(_first_line(error)) from None
    return "ok"


def check_servers(addresses: Sequence[str]) -> str:
    """At least one must serve: Envoy sends calls only to those that do."""
    serving = _statuses(addresses, _ALL).count(_Status.SERVING)
    if not serving:
        raise Failing(f"none of {len(addresses)} serves")
    return f"{serving} of {len(addresses)} serve"


def check_streams(addresses: Sequence[str]) -> str:
    """All that answer must be up to date: Envoy sends streams to any of them."""
    statuses = _statuses(addresses, _STREAMS)
    if behind := statuses.count(_Status.NOT_SERVING):
        raise Failing(f"{behind} of {len(addresses)} are behind the database")
    return f"{statuses.count(_Status.SERVING)} of {len(addresses)} are up to date"


class Process(Protocol):
    @property
    def alive(self) -> bool: ...


def check_running(processes: Sequence[Process]) -> str:
    """What is started again when it dies, and isn't missed by calls meanwhile, never fails."""
    return "ok" if all(process.alive for process in processes) else "being started"


def check_edge(address: str, *, tls: bool) -> str:
    """Envoy answers, and reaches a server."""
    if _status(address, _ALL, tls=tls) != _Status.SERVING:
        raise Failing(f"no server is reached through {address}")
    return f"a server is reached through {address}"


def check_pages(urls: Sequence[str]) -> str:
    """Each of these answers well."""
    for url in urls:
        try:
            urlopen(url, timeout=_SECONDS).close()  # noqa: S310 - the supervisor's own
        except OSError as error:
            raise Failing(f"{url} doesn't answer: {error}") from None
    return ", ".join(urls)


def _statuses(addresses: Sequence[str], service: str) -> list[int | None]:
    with ThreadPoolExecutor(max(1, len(addresses))) as pool:
        return list(pool.map(lambda address: _status(address, service), addresses))


def _status(address: str, service: str, *, tls: bool = False) -> int | None:
    """What a server says of a service; None where it doesn't answer."""
    with _channel(address, tls=tls) as channel:
        check = channel.unary_unary(
            "/grpc.health.v1.Health/Check",
            request_serializer=health_pb2.HealthCheckRequest.SerializeToString,
            response_deserializer=health_pb2.HealthCheckResponse.FromString,
        )
        try:
            answer = check(health_pb2.HealthCheckRequest(service=service), timeout=_SECONDS)
        except grpc.RpcError:
            return None
    return int(answer.status)


def _channel(address: str, *, tls: bool) -> grpc.Channel:
    options = [("grpc.use_local_subchannel_pool", 1)]  # an earlier failure's back-off isn't shared
    if tls:
        return grpc.secure_channel(address, grpc.ssl_channel_credentials(), options)
    return grpc.insecure_channel(address, options)


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]


def _json(code: int, body: object) -> Answer:
    return Answer(code, "application/json", json.dumps(body).encode() + b"\n")
