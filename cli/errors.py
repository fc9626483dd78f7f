"""What went wrong with a call, in lines for people: `google.rpc.Status` and its details read out.

Which calls are repeated, and when, is not decided here.
"""

from collections.abc import Iterator
from typing import Any, cast

import click
import grpc
from google.protobuf.message import Message
from google.rpc import error_details_pb2
from grpc_status import rpc_status

_TYPES: dict[str, type[Message]] = {
    kind.DESCRIPTOR.full_name: kind
    for kind in (
        error_details_pb2.BadRequest,
        error_details_pb2.PreconditionFailure,
        error_details_pb2.QuotaFailure,
        error_details_pb2.Help,
        error_details_pb2.RetryInfo,
    )
}
_FOUND_NOBODY = {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED}
_TRANSIENT = _FOUND_NOBODY | {
    grpc.StatusCode.DEADLINE_EXCEEDED,
    grpc.StatusCode.RESOURCE_EXHAUSTED,
    grpc.StatusCode.ABORTED,
    grpc.StatusCode.INTERNAL,
    grpc.StatusCode.UNKNOWN,
}


class ServiceError(click.ClickException):
    """A call that failed; shown as its message with the server's hints, one a line."""

    def __init__(self, error: grpc.RpcError, server: str) -> None:
        super().__init__("\n  ".join(_lines(error, server)))
        self.code: grpc.StatusCode = error.code()

    @property
    def found_nobody(self) -> bool:
        """Whether nobody was there, or whoever was is just going away."""
        return self.code in _FOUND_NOBODY

    @property
    def transient(self) -> bool:
        """Whether the same call may well succeed later."""
        return self.code in _TRANSIENT


def _lines(error: grpc.RpcError, server: str) -> list[str]:
    status = rpc_status.from_call(cast("grpc.Call", error))
    if status is None:
        return [_without_details(error, server)]
    hints = [hint for detail in status.details for hint in _hints(_typed(detail))]
    covered = "; ".join(hints) == status.message
    message = [] if covered else [status.message]
    return message + [hint for hint in hints if covered or hint not in status.message]


def _without_details(error: grpc.RpcError, server: str) -> str:
    code, said = error.code(), error.details()
    if code in _FOUND_NOBODY:
        return (
            f"can't reach Kintsugi at {server}: start it with `kintsugi up`, "
            f"or set KINTSUGI_SERVER ({said})"
        )
    if code is grpc.StatusCode.DEADLINE_EXCEEDED:
        return f"Kintsugi at {server} didn't answer in time"
    return f"{server} answered {code.name}: {said} (is KINTSUGI_SERVER a Kintsugi?)"


def _typed(detail: Any) -> Message | None:
    """An Any as the message it carries, or None for a kind that holds no hint."""
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
