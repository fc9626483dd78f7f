"""Every error that a caller can be told about, as what it means and not as how it is sent.

How one becomes a `google.rpc.Status` is the business of the interceptors.
"""

from collections.abc import Mapping, Sequence
from math import ceil
from typing import ClassVar

from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.rpc import code_pb2, error_details_pb2
from kintsugi.v1 import error_reason_pb2 as reasons

_MAX_TEXT = 300
_MAX_BYTES = 2_000

Violation = tuple[str, str]
"""A field's path in the request, and what is wrong with it: `("exception.run", "is required")`."""


class KintsugiError(Exception):
    """Base of all: a status code, a reason (AIP-193), a message for people, typed details."""

    code: ClassVar[code_pb2.Code.ValueType]
    reason: ClassVar[reasons.ErrorReason.ValueType]
    retry_seconds: float | None = None
    """After which the same call may succeed, where that is known."""

    def __init__(self, message: str, metadata: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.metadata = dict(metadata or {})

    def details(self) -> Sequence[Message]:
        """The details beside the ErrorInfo, which every error has."""
        return ()


class InvalidFields(KintsugiError):
    """Fields that are missing or malformed, all of them at once."""

    code = code_pb2.INVALID_ARGUMENT
    reason = reasons.INVALID_FIELDS

    def __init__(
        self, violations: Sequence[Violation], metadata: Mapping[str, str] | None = None
    ) -> None:
        self.violations = _fitting(violations)
        message = "; ".join(f"{field}: {what}" for field, what in self.violations[:3])
        more = len(violations) - len(self.violations[:3])
        super().__init__(f"{message}; and {more} more" if more else message, metadata)

    def details(self) -> Sequence[Message]:
        return [
            error_details_pb2.BadRequest(
                field_violations=[
                    error_details_pb2.BadRequest.FieldViolation(field=field, description=what)
                    for field, what in self.violations
                ]
            )
        ]


def _fitting(violations: Sequence[Violation]) -> list[Violation]:
    """As many as can be sent: errors travel in HTTP headers, which are small."""
    kept: list[Violation] = []
    for field, what in violations:
        kept.append((field[:_MAX_TEXT], what[:_MAX_TEXT]))
        if sum(len(text.encode()) for pair in kept for text in pair) > _MAX_BYTES:
            break
    return kept


class RequestTooLarge(InvalidFields):
    """`most` is in bytes."""

    code = code_pb2.RESOURCE_EXHAUSTED
    reason = reasons.REQUEST_TOO_LARGE

    def __init__(self, most: int) -> None:
        super().__init__([("request", f"has more than {most} bytes, which is the most")])


class InvalidName(InvalidFields):
    """Text that is no name of the kind that was asked for."""

    def __init__(self, text: str, pattern: str) -> None:
        super().__init__([("name", f"{text[:200]!r} doesn't have the form {pattern}")])


class UnknownField(InvalidFields):
    reason = reasons.UNKNOWN_FIELD


class PageTokenInvalid(InvalidFields):
    reason = reasons.PAGE_TOKEN_INVALID

    def __init__(self, what: str) -> None:
        super().__init__([("page_token", what)])


class CursorInvalid(InvalidFields):
    reason = reasons.CURSOR_INVALID

    def __init__(self) -> None:
        super().__init__([("after", "is damaged or belongs to another stream")])


class RequestIdReused(InvalidFields):
    reason = reasons.REQUEST_ID_REUSED

    def __init__(self) -> None:
        what = "was already used with another body; use a new one for a new request"
        super().__init__([("request_id", what)])


class FilterRefused(InvalidFields):
    """`field` is `filter` or `order_by`; `offset` counts its characters from 0."""

    def __init__(self, field: str, what: str, offset: int) -> None:
        super().__init__([(field, what)], {"offset": str(offset)})


class FilterSyntaxRefused(FilterRefused):
    reason = reasons.FILTER_SYNTAX


class FilterTypeRefused(FilterRefused):
    reason = reasons.FILTER_TYPE


class _AboutResource(KintsugiError):
    def __init__(self, message: str, name: str) -> None:
        super().__init__(message)
        self.name = name

    def details(self) -> Sequence[Message]:
        return [
            error_details_pb2.ResourceInfo(
                resource_type=self.name.split("/")[-2], resource_name=self.name
            )
        ]


class NotFound(_AboutResource):
    code = code_pb2.NOT_FOUND
    reason = reasons.RESOURCE_NOT_FOUND

    def __init__(self, name: object) -> None:
        super().__init__(f"{name} doesn't exist", str(name))


class NotAMember(NotFound):
    """Whether it exists or not, the caller is no member there; they are told the same."""


class AlreadyExists(_AboutResource):
    code = code_pb2.ALREADY_EXISTS
    reason = reasons.RESOURCE_ALREADY_EXISTS

    def __init__(self, name: object, message: str | None = None) -> None:
        super().__init__(message or f"{name} exists already", str(name))


class IllegalTransition(KintsugiError):
    """What was asked for isn't possible in the state that the resource is in."""

    code = code_pb2.FAILED_PRECONDITION
    reason = reasons.ILLEGAL_TRANSITION
    subject = ""

    def about(self, name: object) -> "IllegalTransition":
        """The same error, naming the resource: the rules that raise it don't know the name."""
        self.subject = str(name)
        return self

    def details(self) -> Sequence[Message]:
        violation = error_details_pb2.PreconditionFailure.Violation(
            type="STATE", subject=self.subject, description=self.message
        )
        return [error_details_pb2.PreconditionFailure(violations=[violation])]


class TooManyMatches(KintsugiError):
    """More was found than the caller said it may be; nothing was done."""

    code = code_pb2.FAILED_PRECONDITION
    reason = reasons.TOO_MANY_MATCHES

    def __init__(self, found: int, accepted: int, *, is_lower_bound: bool) -> None:
        what = (
            f"more than {found:,} match, which can't be done in one go; narrow the filter"
            if is_lower_bound
            else f"{found} match, with what this request changed before, {accepted} were accepted;"
            " look again without force"
        )
        super().__init__(what, {"match_count": str(found)})

    def details(self) -> Sequence[Message]:
        violation = error_details_pb2.PreconditionFailure.Violation(
            type="COUNT", subject="max_count", description=self.message
        )
        return [error_details_pb2.PreconditionFailure(violations=[violation])]


class CursorExpired(KintsugiError):
    code = code_pb2.FAILED_PRECONDITION
    reason = reasons.CURSOR_EXPIRED

    def __init__(self) -> None:
        super().__init__(
            "what came after the cursor is no longer known; start without one, and list what"
            " was missed"
        )

    def details(self) -> Sequence[Message]:
        violation = error_details_pb2.PreconditionFailure.Violation(
            type="CURSOR", subject="after", description=self.message
        )
        return [error_details_pb2.PreconditionFailure(violations=[violation])]


class EtagMismatch(KintsugiError):
    code = code_pb2.ABORTED
    reason = reasons.ETAG_MISMATCH

    def __init__(self, name: object, etag: str) -> None:
        message = f"{name} was changed since the etag was read; read it again and repeat"
        super().__init__(message, {"etag": etag})


class CredentialsMissing(KintsugiError):
    code = code_pb2.UNAUTHENTICATED
    reason = reasons.CREDENTIALS_MISSING

    def __init__(self) -> None:
        super().__init__("the call needs an access token: `authorization: Bearer kin_…`")


class CredentialsInvalid(KintsugiError):
    """`what` says why, for example "has expired"; of a token of ours it is known whose
    it was, and, while they are a member there, of which workspace."""

    code = code_pb2.UNAUTHENTICATED
    reason = reasons.CREDENTIALS_INVALID

    def __init__(
        self, what: str, principal: str = "", token: str = "", workspace: str = ""
    ) -> None:
        super().__init__(f"the access token {what}")
        self.principal = principal
        self.token = token
        self.workspace = workspace


class PermissionLacking(KintsugiError):
    code = code_pb2.PERMISSION_DENIED
    reason = reasons.PERMISSION_LACKING

    def __init__(self, principal: str, permission: str) -> None:
        message = f"{principal} may not do this here: it takes {permission}"
        super().__init__(message, {"permission": permission})


class RoleTooHigh(KintsugiError):
    code = code_pb2.PERMISSION_DENIED
    reason = reasons.PERMISSION_LACKING


class FeatureNotEnabled(KintsugiError):
    code = code_pb2.PERMISSION_DENIED
    reason = reasons.FEATURE_NOT_ENABLED

    def __init__(self, workspace: object, feature: str) -> None:
        super().__init__(f"{workspace} has not switched on {feature}", {"feature": feature})


class _Retriable(KintsugiError):
    retry_seconds: float = 1

    def details(self) -> Sequence[Message]:
        delay = Duration()
        delay.FromNanoseconds(ceil(self.retry_seconds * 1_000_000_000))
        return [error_details_pb2.RetryInfo(retry_delay=delay)]


class Overloaded(_Retriable):
    code = code_pb2.RESOURCE_EXHAUSTED
    reason = reasons.OVERLOADED

    def __init__(self, calls: str, limit: int) -> None:
        super().__init__(f"the server has {limit} {calls} already; try again in a moment")


class TooManyStreams(_Retriable):
    code = code_pb2.RESOURCE_EXHAUSTED
    reason = reasons.TOO_MANY_STREAMS

    def __init__(self, principal: str, limit: int) -> None:
        super().__init__(f"{principal} has {limit} streams open, which is the most; close some")


_SHORTEST_SECONDS = 0.05
"""Who comes back for the very next place finds that another was faster."""


class _QuotaExhausted(_Retriable):
    """A principal did something as often as it may; `limit` is such as `calls per second`."""

    code = code_pb2.RESOURCE_EXHAUSTED
    limit: ClassVar[str]

    def __init__(self, principal: str, most: float, wait: float) -> None:
        """`wait` is in seconds, and positive."""
        wait = max(wait, _SHORTEST_SECONDS)
        self.principal, self.most, self.retry_seconds = principal, most, wait
        super().__init__(
            f"{principal} may make {most:g} {self.limit}; try again in {_seconds(wait)} s"
        )

    def details(self) -> Sequence[Message]:
        violation = error_details_pb2.QuotaFailure.Violation(
            subject=self.principal,
            description=self.message,
            quota_id=reasons.ErrorReason.Name(self.reason),
            quota_value=int(self.most),
        )
        return [error_details_pb2.QuotaFailure(violations=[violation]), *super().details()]


def _seconds(wait: float) -> str:
    return f"{wait:.0f}" if wait >= 10 else f"{ceil(wait * 1000) / 1000:g}"


class RateLimited(_QuotaExhausted):
    reason = reasons.RATE_LIMITED
    limit = "calls a second"


class AgentStartsExhausted(_QuotaExhausted):
    reason = reasons.AGENT_STARTS_EXHAUSTED
    limit = "calls an hour that start agent work"


class ReaderTooSlow(_Retriable):
    code = code_pb2.RESOURCE_EXHAUSTED
    reason = reasons.READER_TOO_SLOW

    def __init__(self) -> None:
        super().__init__("a message was not taken in time; go on from the last cursor")


class ServerStopping(_Retriable):
    code = code_pb2.UNAVAILABLE
    reason = reasons.SERVER_STOPPING

    def __init__(self) -> None:
        super().__init__("the server is about to stop; go on from the last cursor at another one")


class DatabaseUnavailable(_Retriable):
    code = code_pb2.UNAVAILABLE
    reason = reasons.DATABASE_UNAVAILABLE

    def __init__(self, what: str = "the database can't be reached") -> None:
        super().__init__(f"{what}; try again in a moment")


class DeadlinePassed(KintsugiError):
    code = code_pb2.DEADLINE_EXCEEDED
    reason = reasons.DEADLINE_PASSED

    def __init__(self) -> None:
        super().__init__("the call's deadline passed before it was done")


class InternalError(KintsugiError):
    code = code_pb2.INTERNAL
    reason = reasons.INTERNAL_ERROR

    def __init__(self, reference: str) -> None:
        message = f"a fault of the server's; its log has the reference {reference}"
        super().__init__(message, {"reference": reference})
