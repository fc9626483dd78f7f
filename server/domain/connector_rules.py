"""What must be true of a connector that a caller creates or changes, beyond what the protos say.

What its templates may be is in `request_template.py`; whether it works, nobody knows before.
"""

import re
from collections.abc import Iterable

from google.protobuf.duration_pb2 import Duration
from kintsugi.v1 import connector_pb2 as pb
from kintsugi.v1.risk_pb2 import RISK_MEDIUM, Risk

from server.domain import request_template
from server.domain.action_types import FORM, UNCONNECTED, is_action_type
from server.domain.errors import Violation
from server.domain.secret_references import is_reference
from server.domain.target_hosts import is_allowed, is_pattern
from server.domain.template import TemplateInvalid
from server.domain.url_template import UrlTemplate

AUTHORIZATION = "Authorization"
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
TIMEOUT_SECONDS = 30.0
MAX_ATTEMPTS = 3
BACKOFF_SECONDS = 1.0
"""What holds unless a connector says otherwise."""

_TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_FIELD = re.compile(r"[^.]+(\.[^.]+)*")
_RESERVED = {
    *("accept-encoding", "authorization", "connection", "content-length", "cookie", "expect"),
    *("host", "idempotency-key", "keep-alive", "kintsugi-dry-run", "proxy-authorization"),
    *("proxy-connection", "te", "trailer", "transfer-encoding", "upgrade", "user-agent"),
}
"""Headers of the connection, of this service, and those that hold credentials."""


def timeout_seconds(http: pb.HttpRequest) -> float:
    return _seconds(http.timeout) if http.HasField("timeout") else TIMEOUT_SECONDS


def max_attempts(http: pb.HttpRequest) -> int:
    return http.retry.max_attempts or MAX_ATTEMPTS


def backoff_seconds(http: pb.HttpRequest) -> float:
    """The pause before the second attempt."""
    is_said = http.retry.HasField("initial_backoff")
    return _seconds(http.retry.initial_backoff) if is_said else BACKOFF_SECONDS


def risk_of(connector: pb.Connector) -> Risk.ValueType:
    return connector.risk or RISK_MEDIUM


def action_type_violations(action_type: str) -> list[Violation]:
    """What is wrong with the type of a new connector; it can't change later."""
    if action_type in UNCONNECTED:
        return [("action_type", f"{action_type} is never carried out by a connector")]
    return [] if is_action_type(action_type) else [("action_type", FORM)]


def violations(connector: pb.Connector) -> list[Violation]:
    """All that is wrong, by fields of the connector; empty when nothing is."""
    return [(f"http.{field}", what) for field, what in _http_violations(connector.http)]


def _http_violations(http: pb.HttpRequest) -> Iterable[Violation]:
    if http.method not in METHODS:
        yield "method", f"must be one of {', '.join(METHODS)}"
    if http.body and http.method in ("GET", "HEAD"):
        yield "body", f"must be empty for {http.method}"
    yield from request_template.violations(http)
    yield from _header_violations(http)
    yield from _host_violations(http)
    yield from _auth_violations(http)
    yield from _time_violations(http)
    yield from _success_violations(http.success)


def _header_violations(http: pb.HttpRequest) -> Iterable[Violation]:
    seen: set[str] = set()
    for name in http.headers:
        lower = name.lower()
        if not _TOKEN.fullmatch(name):
            yield "headers", f"{name[:100]!r} is no name of a header"
        elif lower in _RESERVED:
            yield "headers", f"{name} is set by the service, or belongs into auth"
        elif lower in seen:
            yield "headers", f"{name} is there twice"
        seen.add(lower)


def _host_violations(http: pb.HttpRequest) -> Iterable[Violation]:
    for host in http.allowed_hosts:
        if not is_pattern(host):
            yield "allowed_hosts", f"{host[:100]!r} must be host, host:port, *.host or *.host:port"
    try:
        target = UrlTemplate.parse(http.url).target
    except TemplateInvalid:
        return  # is said already
    if target is None and not http.allowed_hosts:
        yield "allowed_hosts", "is required where the host of the URL has a place"
    if target is not None and http.allowed_hosts and not is_allowed(target, http.allowed_hosts):
        yield "url", f"leads to {target}, which isn't among allowed_hosts"


def _auth_violations(http: pb.HttpRequest) -> Iterable[Violation]:
    if not http.HasField("auth"):
        return
    auth = http.auth
    if not is_reference(auth.secret):
        what = "must be env:NAME, where NAME begins with KINTSUGI_SECRET_, or file:NAME"
        yield "auth.secret", what
    header = auth.header or AUTHORIZATION
    if not _TOKEN.fullmatch(header):
        yield "auth.header", "is no name of a header"
    elif header.lower() in _RESERVED - {AUTHORIZATION.lower(), "cookie"}:
        yield "auth.header", f"{header} is set by the service"
    elif header.lower() in map(str.lower, http.headers):
        yield "auth.header", f"{header} is in headers, too"
    if auth.scheme and not _TOKEN.fullmatch(auth.scheme):
        yield "auth.scheme", "must be one word, such as Bearer"


def _time_violations(http: pb.HttpRequest) -> Iterable[Violation]:
    if not (_is_duration(http.timeout) and 0.1 <= timeout_seconds(http) <= 300):
        yield "timeout", "must be 0.1 s to 300 s"
    if not 1 <= max_attempts(http) <= 10:
        yield "retry.max_attempts", "must be 1 to 10"
    backoff = http.retry.initial_backoff
    if not (_is_duration(backoff) and 0.1 <= backoff_seconds(http) <= 60):
        yield "retry.initial_backoff", "must be 0.1 s to 60 s"


def _success_violations(success: pb.HttpRequest.Success) -> Iterable[Violation]:
    for status in success.statuses:
        if not 200 <= status <= 599:
            yield "success.statuses", f"{status} isn't within 200 and 599"
    if success.field and not _FIELD.fullmatch(success.field):
        yield "success.field", "must be names with dots between, such as result.state"
    if success.value and not success.field:
        yield "success.value", "needs success.field"


def _is_duration(duration: Duration) -> bool:
    return 0 <= duration.nanos <= 999_999_999


def _seconds(duration: Duration) -> float:
    return duration.seconds + duration.nanos / 1e9
