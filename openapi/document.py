"""The whole OpenAPI document."""

from collections.abc import Mapping

from google.protobuf.descriptor_pb2 import MethodDescriptorProto

from filters import Schema
from openapi import errors
from openapi.bindings import Binding, of_method
from openapi.operations import JSON, Operations
from openapi.prose import read, words
from openapi.protos import PACKAGE, Protos
from openapi.schemas import Json, Schemas

Call = tuple[str, MethodDescriptorProto, Binding]
"""The full name of a service, a method of it, and one of the method's calls."""

_HTTP_BODY = ".google.api.HttpBody"

_INTRODUCTION = """\
Exceptions of automations: raised, seen, resolved. The same service speaks gRPC on the same port; \
this is its JSON over HTTP.

Fields are printed in snake_case, and read in snake_case or camelCase. Fields with their default \
value are printed; messages, timestamps and members of a choice that are unset are left out. \
Integers of 64 bits are strings, bytes are base64, timestamps are RFC 3339. A body with a field \
at its top level that the method doesn't know is refused, and so is an unknown query parameter; \
unknown fields further in are ignored.

Every call brings an access token, `authorization: Bearer kin_…`. The examples take it from the \
environment: `export KINTSUGI_TOKEN="$(kintsugi tokens print)"`. What can be done with it depends \
on its role and on its principal's in the workspace; each call says which permission it takes. A \
workspace that the principal doesn't belong to is answered like one that there isn't, with 404.

Every error is an `rpcStatus`. The service's own have a reason, one of `v1ErrorReason`; what the \
edge in front of it answers itself, to an unknown path or parameter or malformed JSON, has only a \
code and a message.
"""


def document(protos: Protos, filters: Mapping[str, Schema]) -> Json:
    """OpenAPI 3.1, as JSON; `filters` are the fields that filters may name, by what is listed."""
    schemas = Schemas(protos)
    operations = Operations(protos, schemas, filters)
    paths: dict[str, Json] = {}
    tags: list[Json] = []
    calls = _calls(protos)
    in_events = {(b.verb, b.path) for _, method, b in calls if _is_events(method)}
    for service, method, binding in calls:
        if _is_events(method):
            continue
        tag = _tag(protos, service)
        if tag not in tags:
            tags.append(tag)
        made = operations.operation(
            f"{service}.{method.name}",
            method,
            binding,
            events=(binding.verb, binding.path) in in_events,
        )
        paths.setdefault(binding.path, {})[binding.verb] = {"tags": [tag["name"]]} | made
    schemas.enum(f"{PACKAGE}.ErrorReason")
    return {
        "openapi": "3.1.0",
        "info": {"title": "Kintsugi API", "version": "v1", "description": _INTRODUCTION},
        "servers": [{"url": "/"}],
        "security": [{"BearerAuth": []}],
        "tags": tags,
        "paths": paths,
        "components": {
            "securitySchemes": {
                "BearerAuth": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "An access token, `kin_…`: the first one is the owner's, made "
                    "by `kintsugi up`; CreateAccessToken makes others.",
                }
            },
            "responses": {
                errors.NAMES[status]: response
                for status, response in errors.responses(_as_json).items()
            },
            "schemas": dict(sorted((errors.SCHEMAS | schemas.components).items())),
        },
    }


def _as_json(error: Json) -> Json:
    return {JSON: {"schema": errors.STATUS, "example": error}}


def _calls(protos: Protos) -> list[Call]:
    """Services from the outermost resource inwards, in each the calls as they are declared."""
    services = [
        [
            (name, method, binding)
            for method in service.method
            for binding in of_method(method, protos.ids)
        ]
        for name, service in protos.services.items()
    ]
    services.sort(key=lambda calls: min(binding.path.count("/") for _, _, binding in calls))
    return [call for calls in services for call in calls]


def _is_events(method: MethodDescriptorProto) -> bool:
    """Whether it is another method's stream as server-sent events, on the same path."""
    return method.server_streaming and method.output_type == _HTTP_BODY


def _tag(protos: Protos, service: str) -> Json:
    resource = service.removeprefix(f"{PACKAGE}.").removesuffix("Service")
    name = words(protos.plurals.get(resource, resource))
    return {"name": name, "description": read(protos.comments[service]).text}
