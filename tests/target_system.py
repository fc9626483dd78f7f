"""A target system of connectors: an HTTP server that keeps what it was asked to do.

How it behaves is the first part of the path: `ok` does it, `fail` says 500, `slow` takes a while,
`hang` never answers.
"""

import json
import random
import threading
import time
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

HANG_SECONDS = 20


class Asked(NamedTuple):
    """One request: the action that it says it is of, its key, its method and its path."""

    action: str
    key: str
    method: str
    path: str


class Target:
    """Serves on a free port of loopback until it is closed."""

    def __init__(self) -> None:
        self.asked: list[Asked] = []
        self.answered: list[str] = []
        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self._server.server_address[1]}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def of(self, action: str) -> list[Asked]:
        with self._lock:
            return [each for each in self.asked if each.action == action]

    def _note(self, asked: Asked) -> None:
        with self._lock:
            self.asked.append(asked)

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        target = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _do(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                action = json.loads(body)["action"] if body else ""
                key = self.headers.get("idempotency-key", "")
                target._note(Asked(action, key, self.command, self.path))
                manner = self.path.split("/")[1]
                time.sleep(_seconds(manner))
                answer = json.dumps({"did": action}).encode()
                self.send_response(500 if manner == "fail" else 200)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)
                target.answered.append(action)

            do_POST = do_PUT = do_GET = do_DELETE = _do  # noqa: N815 - http.server's names

            def handle(self) -> None:
                with suppress(OSError):  # whoever asked is gone
                    super().handle()

            def log_message(self, *_: Any) -> None:
                pass

        return Handler


def _seconds(manner: str) -> float:
    return {"slow": random.uniform(0, 0.5), "hang": HANG_SECONDS}.get(manner, 0.0)
