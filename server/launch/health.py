"""The supervisor's HTTP answers: `/healthz`, `/readyz` and `/metrics`, for all processes.

It asks the database and the servers from outside, as their users do.
"""

import json
import ssl
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple, Protocol
from urllib.request import urlopen

import grpc
import psycopg
from grpc_health.v1 import health_pb2

from server.launch.ports import HOST

Status = health_pb2.HealthCheckResponse

_SECONDS = 2

ALL, STREAMS = "", "streams"
"""What of a server is asked: whether it serves, and whether its streams are up to date."""

_FAILING = "failing: "

_CHECK = "/grpc.health.v1.Health/Check"
_GRPC_WEB = {"content-type": "application/grpc-web+proto"}
_NOTHING = bytes(5)
_SERVING = b"\0\0\0\0\2" + Status(status=Status.SERVING).SerializeToString()
"""Messages of gRPC as they are sent: a flag, the length in four bytes, the message."""

_ANYBODY = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
_ANYBODY.check_hostname = False
_ANYBODY.verify_mode = ssl.CERT_NONE


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
    with ThreadPoolExecutor(len(checks)) as pool:
        outcomes = pool.map(_outcome, checks.values())
    found = dict(zip(checks, outcomes, strict=True))
    failed = any(each.startswith(_FAILING) for each in found.values())
    status = "not ready" if failed else "ready"
    return _json(503 if failed else 200, {"status": status, "checks": found})


def _outcome(check: Check) -> str:
    try:
        return check()
    except Failing as failing:
        return f"{_FAILING}{failing}"


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
    serving = list(statuses(addresses, ALL).values()).count(Status.SERVING)
    if not serving:
        raise Failing(f"none of {len(addresses)} serves")
    return f"{serving} of {len(addresses)} serve"


def check_streams(addresses: Sequence[str]) -> str:
    """All that answer must be up to date: Envoy sends streams to any of them."""
    told = list(statuses(addresses, STREAMS).values())
    if behind := told.count(Status.NOT_SERVING):
        raise Failing(f"{behind} of {len(addresses)} are behind the database")
    return f"{told.count(Status.SERVING)} of {len(addresses)} are up to date"


class Process(Protocol):
    @property
    def alive(self) -> bool: ...


def check_running(processes: Sequence[Process]) -> str:
    """What is started again when it dies, and isn't missed by calls meanwhile, never fails."""
    return "ok" if all(process.alive for process in processes) else "being started"


def check_edge(address: str, *, tls: bool) -> str:
    """A call gets through Envoy to a server that serves: one of gRPC-Web, in HTTP/1.1.

    Whose certificate it is, and who signed it, is for clients to judge.
    """
    if not address:
        raise Failing("is being started")
    try:
        answer = _called(address, tls=tls)
    except (OSError, HTTPException) as error:
        raise Failing(f"no call gets through {address}: {error}") from None
    if not answer.startswith(_SERVING):
        raise Failing(f"no server is reached through {address}")
    return f"a server is reached through {address}"


def _called(address: str, *, tls: bool) -> bytes:
    connection = HTTPConnection(address, timeout=_SECONDS)
    if tls:
        connection = HTTPSConnection(address, timeout=_SECONDS, context=_ANYBODY)
    with closing(connection):
        connection.request("POST", _CHECK, body=_NOTHING, headers=_GRPC_WEB)
        return connection.getresponse().read()


def check_pages(urls: Sequence[str]) -> str:
    """Each of these answers well."""
    for url in urls:
        try:
            urlopen(url, timeout=_SECONDS).close()  # noqa: S310 - the supervisor's own
        except OSError as error:
            raise Failing(f"{url} doesn't answer: {error}") from None
    return ", ".join(urls)


def statuses(addresses: Sequence[str], service: str) -> dict[str, int | None]:
    """What each server says of a service; None where it doesn't answer."""
    with ThreadPoolExecutor(max(1, len(addresses))) as pool:
        told = pool.map(lambda address: _status(address, service), addresses)
        return dict(zip(addresses, told, strict=True))


def _status(address: str, service: str) -> int | None:
    options = [("grpc.use_local_subchannel_pool", 1)]  # an earlier failure's back-off isn't shared
    with grpc.insecure_channel(address, options) as channel:
        check = channel.unary_unary(
            _CHECK,
            request_serializer=health_pb2.HealthCheckRequest.SerializeToString,
            response_deserializer=Status.FromString,
        )
        try:
            answer = check(health_pb2.HealthCheckRequest(service=service), timeout=_SECONDS)
        except grpc.RpcError:
            return None
    return int(answer.status)


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]


def _json(code: int, body: object) -> Answer:
    return Answer(code, "application/json", json.dumps(body).encode() + b"\n")
