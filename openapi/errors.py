"""What is the same for every call: the body of an error, its details and reasons."""

from collections.abc import Callable

from google.rpc.code_pb2 import Code

from openapi.schemas import Json

STATUSES = (499, 500, 400, 504, 404, 409, 403, 429, 400, 409, 400, 501, 500, 503, 500, 401)
"""The HTTP statuses that Envoy makes of the codes from 1, CANCELLED, on."""

_DETAILS = "`BadRequest`, `PreconditionFailure`, `ResourceInfo`, `RetryInfo`"

SCHEMAS: dict[str, Json] = {
    "rpcStatus": {
        "type": "object",
        "description": "Why a call failed (AIP-193).",
        "properties": {
            "code": {
                "type": "integer",
                "format": "int32",
                "description": "What went wrong, by `google.rpc.Code`, each with the HTTP status "
                "that it comes with:\n\n"
                + "\n".join(f"- {n} {Code.Name(n)}: {http}" for n, http in enumerate(STATUSES, 1)),
            },
            "message": {
                "type": "string",
                "description": "For people; not for programs to decide by.",
            },
            "details": {
                "type": "array",
                "description": "For programs. The first is an `rpcErrorInfo`, unless the edge "
                "itself refused the call.",
                "items": {"$ref": "#/components/schemas/protobufAny"},
            },
        },
    },
    "protobufAny": {
        "type": "object",
        "description": f"A message of the type that `@type` names: an `rpcErrorInfo`, and of "
        f"google.rpc also {_DETAILS}.",
        "properties": {"@type": {"type": "string"}},
        "additionalProperties": {},
    },
    "rpcErrorInfo": {
        "type": "object",
        "description": "The reason of an error, which programs decide by.",
        "properties": {
            "@type": {
                "type": "string",
                "examples": ["type.googleapis.com/google.rpc.ErrorInfo"],
            },
            "reason": {"$ref": "#/components/schemas/v1ErrorReason"},
            "domain": {"type": "string", "examples": ["kintsugi"]},
            "metadata": {
                "type": "object",
                "description": "What the reason speaks of, such as `offset` or `etag`.",
                "additionalProperties": {"type": "string"},
            },
        },
    },
}

STATUS: Json = {"$ref": "#/components/schemas/rpcStatus"}

NAMES = {"401": "Unauthenticated", "403": "PermissionDenied", "default": "Error"}
"""What the responses to what goes wrong are called, by their statuses."""


def _example(code: int, reason: str, message: str, **metadata: str) -> Json:
    info = {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": reason}
    details = [info | {"domain": "kintsugi", "metadata": metadata}]
    return {"code": code, "message": message, "details": details}


_RESPONSES = {
    "401": (
        "The call has no access token, or one that isn't good (any more).",
        _example(16, "CREDENTIALS_INVALID", "the access token expired at 2026-01-31T00:00:00Z"),
    ),
    "403": (
        "The role of the caller or of the token doesn't allow it, or the workspace has it off.",
        _example(
            7,
            "PERMISSION_LACKING",
            "users/ada may not do this here: it takes guideEntries.approve",
            permission="guideEntries.approve",
        ),
    ),
    "default": (
        "An error; the reasons are those of `v1ErrorReason`.",
        _example(
            5,
            "RESOURCE_NOT_FOUND",
            "there is no organizations/local/workspaces/default/exceptions/0193",
        ),
    ),
}


def responses(content: Callable[[Json], Json]) -> Json:
    """The responses to whatever goes wrong, by status; `content` is an example by media types."""
    return {
        status: {"description": text, "content": content(example)}
        for status, (text, example) in _RESPONSES.items()
    }
