"""What went wrong with a call, in lines for people: `google.rpc.Status` and its details read out.

Which calls are repeated, and when, is not decided here.
"""

from collections.abc import Iterator, Sequence
from typing import Any, cast

import click
import grpc
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status

from cli import settings

_TYPES: dict[str, type[Message]] = {
    kind.DESCRIPTOR.full_name: kind
    for kind in (
        error_details_pb2.ErrorInfo,
        error_details_pb2.BadRequest,
        error_details_pb2.PreconditionFailure,
        error_details_pb2.QuotaFailure,
        error_details_pb2.Help,
        error_details_pb2.RetryInfo,
    )
}
_ADVICE = {
    "CURSOR_EXPIRED": "start again; `kintsugi exceptions list` and `kintsugi events list` show "
    "what was missed",
    "CREDENTIALS_MISSING": "set KINTSUGI_TOKEN or KINTSUGI_TOKEN_FILE; on the machine of a "
    "`kintsugi up`, whoever started it needs neither",
    "CREDENTIALS_INVALID": "it is that of {}",
}
"""What to do here, beside what the service advises, by reason; {} is where the token is from."""

_TRUST = (
    "; if its certificate isn't trusted here, set GRPC_DEFAULT_SSL_ROOTS_FILE_PATH to the file of"
    " its authority's, in PEM"
)
"""Said of every TLS server: of several addresses, gRPC tells what was wrong with the last one."""

_PLAIN = "; if it speaks TLS, KINTSUGI_SERVER must begin with https://"
"""Said of a server that hangs up: one without TLS would have answered."""

_CODES = {code.value[0]: code for code in grpc.StatusCode}
_FOUND_NOBODY = {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED}
_TRANSIENT = _FOUND_NOBODY | {
    grpc.StatusCode.DEADLINE_EXCEEDED,
    grpc.StatusCode.RESOURCE_EXHAUSTED,
    grpc.StatusCode.ABORTED,
    grpc.StatusCode.INTERNAL,
    grpc.StatusCode.UNKNOWN,
}


class ServiceError(click.ClickException):
    """A call that failed; shown as its message with the server's hints, one a line.

    `said` is the service's own message, `reason` the name of its ErrorReason; both are empty where
    the service itself never answered.
    """

    def __init__(
        self, code: grpc.StatusCode, lines: Sequence[str], said: str = "", reason: str = ""
    ) -> None:
        super().__init__("\n  ".join(lines))
        self.code = code
        self.said = said
        self.reason = reason

    @classmethod
    def of_call(cls, error: grpc.RpcError, server: str) -> "ServiceError":
        status = rpc_status.from_call(cast("grpc.Call", error))
        if status is None:
            return cls(error.code(), [_without_details(error, server)])
        return cls.of_status(status)

    @classmethod
    def of_status(cls, status: status_pb2.Status) -> "ServiceError":
        """The error that a `google.rpc.Status` tells of, as in the last message of a stream."""
        details = [_typed(detail) for detail in status.details]
        infos = [one for one in details if isinstance(one, error_details_pb2.ErrorInfo)]
        reason = infos[0].reason if infos else ""
        advice = [_ADVICE[reason].format(settings.token_source())] if reason in _ADVICE else []
        code = _CODES.get(status.code, grpc.StatusCode.UNKNOWN)
        return cls(code, _lines(status, details) + advice, status.message, reason)

    @property
    def found_nobody(self) -> bool:
        """Whether nobody was there, or whoever was is just going away."""
        return self.code in _FOUND_NOBODY

    @property
    def transient(self) -> bool:
        """Whether the same call may well succeed later."""
        return self.code in _TRANSIENT


def _lines(status: status_pb2.Status, details: Sequence[Message | None]) -> list[str]:
    hints = [hint for detail in details for hint in _hints(detail)]
    covered = "; ".join(hints) == status.message
    message = [] if covered else [status.message]
    return message + [hint for hint in hints if covered or hint not in status.message]


def _without_details(error: grpc.RpcError, server: str) -> str:
    code, said = error.code(), error.details()
    if code in _FOUND_NOBODY:
        hint = _PLAIN if "Socket closed" in str(said) else ""
        if server.startswith("https:"):
            hint = _TRUST
        return (
            f"can't reach Kintsugi at {server}: start it with `kintsugi up`, "
            f"or set KINTSUGI_SERVER{hint} ({said})"
        )
    if code is grpc.StatusCode.DEADLINE_EXCEEDED:
        return f"Kintsugi at {server} didn't answer in time"
    return f"{server} answered {code.name}: {said} (is KINTSUGI_SERVER a Kintsugi?)"


def _typed(detail: Any) -> Message | None:
    """An Any as the message it carries, or None for a kind that is of no use here."""
    kind = _TYPES.get(detail.TypeName())
    message = kind() if kind else None
    return message if message and detail.Unpack(message) else None


def _hints(detail: Message | None) -> Iterator[str]:
    match detail:
        case error_details_pb2.BadRequest():
            for violation in detail.field_violations:
                yield f"{violation.field}: {violation.description}"
        case error_details_pb2.PreconditionFailure() | error_details_pb2.QuotaFailure():
            for failure in detail.violations:
                yield failure.description
        case error_details_pb2.Help():
            for link in detail.links:
                yield f"{link.description}: {link.url}"
        case error_details_pb2.RetryInfo():
            yield f"try again in {detail.retry_delay.ToTimedelta().total_seconds():g} s"
