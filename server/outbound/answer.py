"""What a target answered: how much of it is read and kept, and whether it means success.

How it was asked is in `sending.py`.
"""

import http.client
import json
from http import HTTPStatus
from typing import Any, NamedTuple

from kintsugi.v1 import connector_pb2 as pb

from server.domain.json_values import plain
from server.outbound.line import Line
from server.outbound.outcome import Kind, Outcome
from server.outbound.patience import RanOut
from server.outbound.secrets import masked

MOST_READ = 1024 * 1024
MOST_KEPT = 64 * 1024
"""Bytes of an answer's body."""

_STEP = 64 * 1024
_DEEPEST = 16
"""Levels of JSON that are kept as JSON."""


class IncompleteHead(http.client.HTTPException):
    pass


class Answer(NamedTuple):
    """`flaw` says why the body isn't whole; empty if it is."""

    status: int
    body: bytes
    flaw: str

    @classmethod
    def read(cls, line: Line, method: str) -> "Answer":
        """Raises OSError, HTTPException, ValueError, RanOut where none began."""
        response = http.client.HTTPResponse(line, method=method)  # type: ignore[arg-type]  # it is enough of a socket
        response.begin()
        if line.is_ended:  # which no whole head is read up to
            raise IncompleteHead
        body = bytearray()
        try:
            while len(body) < MOST_READ and (part := response.read(_STEP)):
                body += part
        except (OSError, http.client.HTTPException, ValueError, RanOut) as error:
            return cls(response.status, bytes(body), what(error))
        flaw = ""
        if len(body) >= MOST_READ:
            flaw = f"it is larger than {MOST_READ} bytes"
        elif response.length:
            flaw = "it broke off"
        return cls(response.status, bytes(body), flaw)


def judged(answer: Answer, success: pb.HttpRequest.Success, secret: str) -> Outcome:
    """What the answer means; the secret is nowhere in it."""
    kind, error = _verdict(answer, success)
    return Outcome(kind, _response(answer, secret), clean(error, secret))


def what(error: Exception) -> str:
    """A reason for people, without what the target said."""
    if isinstance(error, http.client.RemoteDisconnected):
        return "the connection was closed without an answer"
    if isinstance(error, http.client.IncompleteRead | IncompleteHead):
        return "it broke off"
    if isinstance(error, http.client.HTTPException | ValueError):
        return "it isn't HTTP"
    if isinstance(error, OSError):
        return f"the connection broke: {(error.strerror or str(error)).lower()}"
    return str(error)


def clean(text: str, secret: str) -> str:
    """Without the secret, and without what a message or a row can't hold."""
    held = masked(text, secret).replace("\0", "\ufffd")
    return held.encode("utf-8", "replace").decode()


def _verdict(answer: Answer, success: pb.HttpRequest.Success) -> tuple[Kind, str]:
    if not _is_status_right(answer.status, success):
        return Kind.FAILED, f"the target answered {_words(answer.status)}"
    is_too_large = len(answer.body) >= MOST_READ
    if answer.flaw and not is_too_large:
        words = _words(answer.status)
        return Kind.CUT_OFF, f"the target answered {words}, but not to the end: {answer.flaw}"
    if not success.field:
        return Kind.SUCCEEDED, ""
    error = answer.flaw if is_too_large else _field_error(answer.body, success)
    return (Kind.FAILED, f"of the answer: {error}") if error else (Kind.SUCCEEDED, "")


def _is_status_right(status: int, success: pb.HttpRequest.Success) -> bool:
    return status in success.statuses if success.statuses else 200 <= status <= 299


def _words(status: int) -> str:
    redirect = "; redirects aren't followed" if 300 <= status <= 399 else ""
    try:
        return f"{status} {HTTPStatus(status).phrase}{redirect}"
    except ValueError:
        return f"{status}{redirect}"


def _field_error(body: bytes, success: pb.HttpRequest.Success) -> str:
    """Why the field isn't as it must be; empty if it is."""
    try:
        value = _json(body.decode(errors="replace"))
    except ValueError:
        return "it is no JSON"
    for key in success.field.split("."):
        if not isinstance(value, dict) or key not in value:
            return f"it has no {success.field}"
        value = value[key]
    found = value if isinstance(value, str) else json.dumps(value)
    if success.value and found != success.value:
        return f"{success.field} is {found[:100]!r}, not {success.value!r}"
    return ""


def _response(answer: Answer, secret: str) -> dict[str, Any]:
    body = answer.body
    if answer.flaw:  # the rest of a secret may be behind the end
        body = body[: max(len(body) - len(secret.encode()), 0)] if secret else body
    text = clean(body.decode(errors="replace"), secret)
    response: dict[str, Any] = {"status": answer.status}
    return response | {"body": _kept(text, secret)} if text else response


def _kept(text: str, secret: str) -> Any:
    """As JSON if it is, and small enough; else as a text, cut where it is too long."""
    whole = text.encode()
    if len(whole) <= MOST_KEPT:
        try:
            return _cleaned(_json(text), secret, _DEEPEST)
        except ValueError:
            return text
    return whole[:MOST_KEPT].decode(errors="ignore")


def _json(text: str) -> Any:
    """Raises ValueError."""
    try:
        return plain(json.loads(text))
    except RecursionError:
        raise ValueError("nested too deep") from None


def _cleaned(value: Any, secret: str, depth: int) -> Any:
    if depth < 0:
        raise ValueError("nested too deep")
    if isinstance(value, str):
        return clean(value, secret)
    if isinstance(value, list):
        return [_cleaned(each, secret, depth - 1) for each in value]
    if isinstance(value, dict):
        return {
            clean(key, secret): _cleaned(each, secret, depth - 1) for key, each in value.items()
        }
    return value
