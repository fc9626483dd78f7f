"""Real target systems for the tests: HTTP servers and worse, on loopback."""

import json
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

from tests.certificates import Files

JSON = {"content-type": "application/json"}


class Heard(NamedTuple):
    """A request as it arrived; `headers` have lower-case names."""

    method: str
    path: str
    headers: dict[str, str]
    body: str


class Answered(NamedTuple):
    status: int = 200
    body: bytes | Any = b""
    headers: dict[str, str] = {}  # noqa: RUF012 - never changed


class Target:
    """What it heard, and what it answers to each: bytes as they are, anything else as JSON."""

    def __init__(self, answer: Callable[[Heard], Answered]) -> None:
        self.heard: list[Heard] = []
        self._answer = answer
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def over_tls(self, files: Files) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(files.certificate, files.key)
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)

    def serve(self) -> None:
        self._server.serve_forever(poll_interval=0.01)

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        target = self

        class Handler(BaseHTTPRequestHandler):
            def handle(self) -> None:
                with suppress(OSError):  # whoever asked is gone
                    super().handle()

            def _serve(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length", 0))).decode()
                headers = {name.lower(): value for name, value in self.headers.items()}
                heard = Heard(self.command, self.path, headers, body)
                target.heard.append(heard)
                answer = target._answer(heard)
                is_raw = isinstance(answer.body, bytes)
                data = answer.body if is_raw else json.dumps(answer.body).encode()
                self.send_response(answer.status)
                for name, value in {"content-length": str(len(data)), **answer.headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(b"" if self.command == "HEAD" else data)

            do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = _serve  # noqa: N815

            def log_message(self, format: str, *args: Any) -> None:
                pass

        return Handler


class Holding(Target):
    """Does what it is asked, and says so with `status` once it is `free` to answer."""

    def __init__(self) -> None:
        super().__init__(self._done)
        self.status = 200
        self.free = threading.Event()
        self.free.set()

    @property
    def keys(self) -> list[str]:
        return [each.headers["idempotency-key"] for each in list(self.heard)]

    @property
    def bodies(self) -> list[Any]:
        return [json.loads(each.body) for each in list(self.heard)]

    def stop(self) -> None:
        self.free.set()
        super().stop()

    def _done(self, _heard: Heard) -> Answered:
        self.free.wait(20)
        return Answered(self.status, {"done": True}, JSON)


@contextmanager
def serving(
    answer: Callable[[Heard], Answered] = lambda _: Answered(), tls: Files | None = None
) -> Iterator[Target]:
    """An HTTP server."""
    target = Target(answer)
    if tls:
        target.over_tls(tls)
    with _running(target):
        yield target


@contextmanager
def holding() -> Iterator[Holding]:
    """An HTTP server that actions are carried out on."""
    target = Holding()
    with _running(target):
        yield target


@contextmanager
def _running(target: Target) -> Iterator[None]:
    thread = threading.Thread(target=target.serve, daemon=True)
    thread.start()
    try:
        yield
    finally:
        target.stop()
        thread.join()


@contextmanager
def raw(talk: Callable[[socket.socket], None]) -> Iterator[str]:
    """The URL of a listener that does `talk` with each connection, and closes it then."""
    listener = socket.create_server(("127.0.0.1", 0))

    def accept() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                talk(connection)

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()


def heard_all(connection: socket.socket) -> bytes:
    """The head of a request."""
    data = b""
    while b"\r\n\r\n" not in data and (part := connection.recv(65536)):
        data += part
    return data


def unused_port() -> int:
    """One that nothing listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])
