"""Methods as OpenAPI operations: parameters, body, answers."""

import json
import re
from collections.abc import Mapping
from functools import partial

from google.api import field_behavior_pb2 as behaviors
from google.protobuf.descriptor_pb2 import FieldDescriptorProto, MethodDescriptorProto
from kintsugi.v1 import options_pb2

from filters import Schema
from filters.describe import describe
from openapi import errors
from openapi.bindings import Binding
from openapi.examples import Examples
from openapi.prose import read, sample_id, words
from openapi.protos import Protos
from openapi.schemas import Json, Schemas, has
from server.domain.names import ID
from server.resources.page import DEFAULT_SIZE

JSON, NDJSON, EVENTS = "application/json", "application/x-ndjson", "text/event-stream"

_FIELDS = re.compile(r"Fields: (?:`[\w.]+`,?\s+)*`[\w.]+`\.\s*")

_NUMBERS: dict[str, Json] = {
    "page_size": {"minimum": 0, "default": DEFAULT_SIZE},
    "skip": {"minimum": 0, "default": 0},
}
_EMPTY = {"google.protobuf.Empty": "Nothing."}
_ERRORS: Json = {
    status: {"$ref": f"#/components/responses/{name}"} for status, name in errors.NAMES.items()
}
_LAST_EVENT_ID: Json = {
    "name": "Last-Event-ID",
    "in": "header",
    "description": "With `text/event-stream`: the id of the last event that was received. Counts "
    "before `after`.",
    "schema": {"type": "string"},
}


class Operations:
    """Makes operations; the schemas that they refer to are kept in `schemas`.

    `filters` are the fields that filters may name, by what is listed.
    """

    def __init__(self, protos: Protos, schemas: Schemas, filters: Mapping[str, Schema]) -> None:
        self._protos = protos
        self._schemas = schemas
        self._filters = filters
        self._examples = Examples(schemas.components)

    def operation(
        self, name: str, method: MethodDescriptorProto, binding: Binding, *, events: bool
    ) -> Json:
        """One call; `name` is the method's full name, `events` whether it can be asked for SSE."""
        title = method.name + binding.of
        made: Json = {
            "operationId": title,
            "summary": words(title),
            "description": self._description(name, method),
            "parameters": self._parameters(method, binding, events=events),
        }
        if binding.body:
            made["requestBody"] = self._body(method, binding)
        return made | {"responses": self._responses(method, events=events)}

    def _description(self, name: str, method: MethodDescriptorProto) -> str:
        permission = method.options.Extensions[options_pb2.permission]
        text = read(self._protos.comments[name]).text
        return f"{text}\n\nPermission: `{permission}`." if permission else text

    def _parameters(
        self, method: MethodDescriptorProto, binding: Binding, *, events: bool
    ) -> list[Json]:
        owner = method.input_type.removeprefix(".")
        fields = self._protos.messages[owner].field
        taken = {field.partition(".")[0] for field in binding.bound} | {binding.body}
        asked = [field for field in fields if binding.body != "*" and field.name not in taken]
        queries = [self._query(owner, field, binding) for field in asked]
        headers = [_LAST_EVENT_ID] if events else []
        wildcards = {field.options.Extensions[options_pb2.wildcard] for field in fields}
        ids = [
            _id_parameter(name, is_wildcard=name.removesuffix("_id") in wildcards)
            for name in binding.parameters
        ]
        return [*ids, *queries, *headers]

    def _query(self, owner: str, field: FieldDescriptorProto, binding: Binding) -> Json:
        schema = self._schemas.field(owner, field)
        if self._schemas.resolve(schema).get("type") == "object":
            raise TypeError(f"{owner}.{field.name}: a query can't hold a message")
        text = schema.pop("description", "")
        if field.name == "filter" and binding.last_collection in self._filters:
            text = _with_table(text, self._filters[binding.last_collection])
        made: Json = {"name": field.name, "in": "query", "description": text}
        if has(field, behaviors.REQUIRED):
            made["required"] = True
        if examples := schema.pop("examples", None):
            made["example"] = examples[0]
        return made | {"schema": schema | _NUMBERS.get(field.name, {})}

    def _body(self, method: MethodDescriptorProto, binding: Binding) -> Json:
        schema = self._body_schema(method, binding)
        content = {"schema": schema, "example": self._examples.request(schema)}
        required = binding.body != "*" or "required" in self._schemas.resolve(schema)
        return {"required": required, "content": {JSON: content}}

    def _body_schema(self, method: MethodDescriptorProto, binding: Binding) -> Json:
        owner = method.input_type.removeprefix(".")
        if binding.body == "*":
            return self._schemas.part(
                f"{method.name}Body", owner, lambda field: field.name not in binding.bound
            )
        [field] = (f for f in self._protos.messages[owner].field if f.name == binding.body)
        resource = field.type_name.removeprefix(".")
        if binding.verb == "patch":
            return self._schemas.part(f"{method.name}Body", resource, _is_mutable, changed=True)
        return self._schemas.message(resource)

    def _responses(self, method: MethodDescriptorProto, *, events: bool) -> Json:
        name = method.output_type.removeprefix(".")
        schema = self._schemas.message(name)
        text = _EMPTY.get(name) or read(self._protos.comments[name]).text.partition("\n\n")[0]
        if not method.server_streaming:
            content = {"schema": schema, "example": self._examples.response(schema)}
            answer = {"description": text, "content": {JSON: content}}
            return {"200": answer} | _ERRORS
        short, message = name.rpartition(".")[2], self._examples.response(schema)
        media = {NDJSON: _lines(short, schema, message)}
        if events:
            media[EVENTS] = _events(short, schema, message)
            text += " They come until the caller hangs up."
        answer = {"description": text, "content": media}
        framed = partial(_error_of_stream, events=events)
        return {"200": answer} | errors.responses(framed)


def _with_table(text: str, fields: Schema) -> str:
    """With the table of the fields instead of the list of their names, where there is one."""
    rest = _FIELDS.sub("", text)
    return f"{rest}\n\n{describe(fields)}" if rest != text else text


def _is_mutable(field: FieldDescriptorProto) -> bool:
    fixed = (behaviors.OUTPUT_ONLY, behaviors.IMMUTABLE, behaviors.IDENTIFIER)
    return not any(has(field, behavior) for behavior in fixed)


def _id_parameter(name: str, *, is_wildcard: bool) -> Json:
    variable = name.removesuffix("_id")
    any_of = "; `-` is any" if is_wildcard else ""
    return {
        "name": name,
        "in": "path",
        "required": True,
        "description": f"The id of the {variable.replace('_', ' ')}{any_of}.",
        "schema": {"type": "string", "pattern": f"^({ID}|-)$" if is_wildcard else f"^{ID}$"},
        "example": sample_id(variable),
    }


def _error_of_stream(error: Json, *, events: bool) -> Json:
    content: Json = {NDJSON: {"schema": errors.STATUS, "example": error}}
    return content | ({EVENTS: _events("rpcStatus", errors.STATUS, error)} if events else {})


def _lines(name: str, schema: Json, message: Json) -> Json:
    sequence = {"type": "array", "items": schema}
    return {
        "schema": {
            "type": "string",
            "format": "binary",
            "title": f"NDJSON stream of {name} objects",
            "description": "One message a line:",
            "contentMediaType": NDJSON,
            "contentSchema": sequence,
        },
        "example": f"{_line(message)}\n",
    }


def _events(name: str, schema: Json, message: Json) -> Json:
    cursor = message.get("cursor", "")
    return {
        "schema": {
            "type": "string",
            "title": f"Server-sent events of {name} objects",
            "description": "One message an event, with its cursor as the id:",
            "contentMediaType": EVENTS,
            "contentSchema": {"type": "array", "items": _event(schema)},
        },
        "example": (f"id: {cursor}\n" if cursor else "") + f"data: {_line(message)}\n\n",
    }


def _event(schema: Json) -> Json:
    data = {"type": "string", "contentMediaType": JSON, "contentSchema": schema}
    return {"type": "object", "properties": {"id": {"type": "string"}, "data": data}}


def _line(message: Json) -> str:
    return json.dumps(message, separators=(",", ":"), ensure_ascii=False)
