"""The one HTTP client: each request that leaves for a target system leaves here, once.

No redirects, no proxies, no cookies. Repeating is the business of whoever calls.
"""

import threading
from collections.abc import Mapping
from contextlib import closing, suppress
from http.client import HTTPException
from pathlib import Path

from kintsugi.v1 import action_pb2, connector_pb2

from server.domain.connector_rules import AUTHORIZATION
from server.domain.names import WorkspaceName
from server.domain.request_template import target_of
from server.domain.target_hosts import Target
from server.domain.template import RenderFailed
from server.outbound.answer import Answer, clean, judged, what
from server.outbound.connecting import NotConnected, NotTrusted, connect
from server.outbound.line import Line
from server.outbound.outcome import Kind, Outcome
from server.outbound.patience import Patience, RanOut
from server.outbound.secrets import SecretMissing, read_secret

_SAFE_TO_REPEAT = ("GET", "HEAD", "PUT", "DELETE")
"""RFC 9110, section 9.2.2."""
_NEVER = threading.Event()
_WITHOUT_BODY = ("GET", "HEAD", "DELETE")


def may_repeat(http: connector_pb2.HttpRequest) -> bool:
    """Whether a request may be sent again under its key after it was cut off."""
    return http.idempotent or http.method in _SAFE_TO_REPEAT


class Sender:
    """Sends requests; any number of threads may use it."""

    def __init__(self, secrets_dir: Path | None = None) -> None:
        self._secrets_dir = secrets_dir

    def send(  # noqa: PLR0913 - what it is about, and its terms by name
        self,
        http: connector_pb2.HttpRequest,
        request: action_pb2.Action.Request,
        *,
        workspace: WorkspaceName,
        idempotency_key: str,
        seconds: float,
        is_dry_run: bool = False,
        cancelled: threading.Event = _NEVER,
        unwanted: threading.Event = _NEVER,
    ) -> Outcome:
        """One attempt, with what secrets the workspace has, never longer than `seconds`; a
        cancelled one ends within 0.5 s, one that is `unwanted` too, unless it has left."""
        patience = Patience(seconds, cancelled)
        reaching = patience.but_for(unwanted)
        try:
            target = target_of(http, request.url)
            secret = self._secret(http, workspace)
            sock = connect(target, reaching, allow_private=http.allow_private)
        except RenderFailed as refused:
            return Outcome(Kind.REFUSED, None, refused.what)
        except (SecretMissing, NotTrusted) as refused:
            return Outcome(Kind.REFUSED, None, str(refused))
        except (NotConnected, RanOut) as failed:
            return Outcome(Kind.UNSENT, None, str(failed))
        added = _added(target, idempotency_key, http.auth, secret, is_dry_run=is_dry_run)
        data = _bytes(request, added)
        with closing(Line(sock, patience)) as line:
            if unwanted.is_set():
                return Outcome(Kind.UNSENT, None, "it was cancelled")
            return _exchanged(line, http, data, secret)

    def _secret(self, http: connector_pb2.HttpRequest, workspace: WorkspaceName) -> str:
        if not http.HasField("auth"):
            return ""
        return read_secret(http.auth.secret, workspace, self._secrets_dir)


def _added(
    target: Target, key: str, auth: connector_pb2.HttpRequest.Auth, secret: str, *, is_dry_run: bool
) -> dict[str, str]:
    """The headers that aren't the connector's to say."""
    added = {
        "Host": str(target),
        "User-Agent": "kintsugi",
        "Accept-Encoding": "identity",
        "Connection": "close",
        "Idempotency-Key": key,
    }
    if secret:
        header = auth.header or AUTHORIZATION
        scheme = auth.scheme or ("Bearer" if header.lower() == AUTHORIZATION.lower() else "")
        added[header] = f"{scheme} {secret}".lstrip()
    return added | ({"Kintsugi-Dry-Run": "true"} if is_dry_run else {})


def _bytes(request: action_pb2.Action.Request, added: Mapping[str, str]) -> bytes:
    body = request.body.encode()
    path = request.url.split("/", 3)[3:]
    headers = {name.lower(): value for name, value in request.headers.items()}
    headers |= {name.lower(): value for name, value in added.items()}
    if body or request.method not in _WITHOUT_BODY:
        headers["content-length"] = str(len(body))
    lines = [f"{request.method} /{''.join(path)} HTTP/1.1"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + body


def _exchanged(line: Line, http: connector_pb2.HttpRequest, data: bytes, secret: str) -> Outcome:
    try:
        # The target may have answered before it had read all.
        with suppress(BrokenPipeError, ConnectionResetError):
            line.sendall(data)
        answer = Answer.read(line, http.method)
    except (OSError, HTTPException, ValueError, RanOut) as error:
        kind = Kind.CUT_OFF if line.is_used else Kind.UNSENT
        return Outcome(kind, None, clean(what(error), secret))
    return judged(answer, http.success, secret)
