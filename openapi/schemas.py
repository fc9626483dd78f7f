"""Messages and enums as JSON Schema, in the JSON of protobuf as Envoy prints and reads it.

Names of schemas are those of the published document: `v1Exception`, `rpcStatus`.
"""

import json
from collections.abc import Callable
from itertools import combinations
from typing import Any

from google.api import field_behavior_pb2 as behaviors
from google.api import field_info_pb2, resource_pb2
from google.protobuf.descriptor_pb2 import FieldDescriptorProto
from kintsugi.v1 import options_pb2

from openapi.prose import read, sample_of_format
from openapi.protos import PACKAGE, Protos

Json = dict[str, Any]

_F = FieldDescriptorProto
_UUID4 = field_info_pb2.FieldInfo.UUID4
_SCALARS: dict[int, Json] = {
    _F.TYPE_DOUBLE: {"type": "number", "format": "double"},
    _F.TYPE_FLOAT: {"type": "number", "format": "float"},
    _F.TYPE_INT32: {"type": "integer", "format": "int32"},
    _F.TYPE_UINT32: {"type": "integer", "format": "int64", "minimum": 0},
    _F.TYPE_INT64: {"type": "string", "format": "int64"},
    _F.TYPE_UINT64: {"type": "string", "format": "uint64"},
    _F.TYPE_BOOL: {"type": "boolean"},
    _F.TYPE_STRING: {"type": "string"},
    _F.TYPE_BYTES: {"type": "string", "format": "byte", "contentEncoding": "base64"},
}
_WELL_KNOWN: dict[str, Json] = {
    "google.protobuf.Any": {"$ref": "#/components/schemas/protobufAny"},
    "google.protobuf.Duration": {"type": "string", "examples": ["1.5s"]},
    "google.protobuf.Empty": {"type": "object"},
    "google.protobuf.FieldMask": {"type": "string"},
    "google.protobuf.ListValue": {"type": "array", "items": {}},
    "google.protobuf.Struct": {"type": "object"},
    "google.protobuf.Timestamp": {"type": "string", "format": "date-time"},
    "google.protobuf.Value": {},
    "google.rpc.Status": {"$ref": "#/components/schemas/rpcStatus"},
}
_KINDS: dict[str, Any] = {"integer": int, "number": (int, float), "object": dict, "array": list}
_PREFIXES = {f"{PACKAGE}.Location": "commonV1", "": "v1"}


class Schemas:
    """Makes schemas and keeps those that have a name in `components`."""

    def __init__(self, protos: Protos) -> None:
        self.components: dict[str, Json] = {}
        self._protos = protos

    def message(self, name: str) -> Json:
        """A reference to a message."""
        if name in _WELL_KNOWN:
            return dict(_WELL_KNOWN[name])
        return self._reference(name, self._object)

    def enum(self, name: str) -> Json:
        """A reference to an enum."""
        return self._reference(name, self._values)

    def part(
        self, name: str, message: str, keep: Callable[[_F], bool], *, changed: bool = False
    ) -> Json:
        """A reference to a schema `name` with some of the fields of a message.

        Of one that is `changed` none is required (AIP-134).
        """
        self.components[name] = self._with_fields(message, keep)
        if changed:
            self.components[name].pop("required", None)
        return {"$ref": f"#/components/schemas/{name}"}

    def resolve(self, schema: Json) -> Json:
        """What a schema refers to, or itself."""
        name = schema.get("$ref", "").rpartition("/")[2]
        return self.components.get(name, schema)

    def field(self, owner: str, field: _F) -> Json:
        """A field of a message: its type, its limits, and what is said about it."""
        required = has(field, behaviors.REQUIRED)
        schema = _limited(self._type(field), field, required=required)
        if field.options.Extensions[field_info_pb2.field_info].format == _UUID4:
            schema["format"] = "uuid"
        prose = read(self._protos.comments.get(f"{owner}.{field.name}", ""))
        text = f"Immutable. {prose.text}" if has(field, behaviors.IMMUTABLE) else prose.text
        if text:
            schema["description"] = text.strip()
        if has(field, behaviors.OUTPUT_ONLY):
            schema["readOnly"] = True
        if field.options.deprecated:
            schema["deprecated"] = True
        if has(field, behaviors.INPUT_ONLY):
            schema["writeOnly"] = True
        example = prose.example or (sample_of_format(prose.text) if _is_name(field) else None)
        if example is not None:
            schema["examples"] = [_value(example, schema)]
        return schema

    def _reference(self, name: str, make: Callable[[str], Json]) -> Json:
        short = _short(name)
        if short not in self.components:
            self.components[short] = {}  # a message may hold itself
            self.components[short] = make(name)
        return {"$ref": f"#/components/schemas/{short}"}

    def _object(self, name: str) -> Json:
        return self._with_fields(name, lambda _: True)

    def _with_fields(self, name: str, keep: Callable[[_F], bool]) -> Json:
        message = self._protos.messages[name]
        schema: Json = {"type": "object", "description": read(self._protos.comments[name]).text}
        fields = [field for field in message.field if keep(field)]
        if fields:
            schema["properties"] = {field.name: self.field(name, field) for field in fields}
        required = [field.name for field in fields if has(field, behaviors.REQUIRED)]
        if required:
            schema["required"] = required
        if rivals := _rivals(fields):
            schema["not"] = {"anyOf": [{"required": list(pair)} for pair in rivals]}
        return schema

    def _values(self, name: str) -> Json:
        values = [value.name for value in self._protos.enums[name].value]
        lines = [f"- `{v}`: {read(self._protos.comments[f'{name}.{v}']).text}" for v in values]
        text = read(self._protos.comments[name]).text
        return {
            "type": "string",
            "enum": values,
            "default": values[0],
            "description": text + "\n\n" + "\n".join(line.replace("\n", "\n  ") for line in lines),
        }

    def _type(self, field: _F) -> Json:
        name = field.type_name.removeprefix(".")
        if field.type == _F.TYPE_ENUM:
            single = self.enum(name)
        elif field.type != _F.TYPE_MESSAGE:
            single = dict(_SCALARS[field.type])
        elif self._protos.messages[name].options.map_entry:
            _, value = self._protos.messages[name].field
            return {"type": "object", "additionalProperties": self._type(value)}
        else:
            single = self.message(name)
        if field.label == _F.LABEL_REPEATED:
            return {"type": "array", "items": single}
        return single


def has(field: _F, behavior: Any) -> bool:
    """Whether a field has this field behavior (AIP-203)."""
    return behavior in field.options.Extensions[behaviors.field_behavior]


def _is_name(field: _F) -> bool:
    """Whether it always holds the name of a resource, its own or another's."""
    reference = field.options.HasExtension(resource_pb2.resource_reference)
    return reference or has(field, behaviors.IDENTIFIER)


def _limited(schema: Json, field: _F, *, required: bool) -> Json:
    """With the limits of the option `limit`; of bytes of UTF-8 there are at least as many."""
    limit = field.options.Extensions[options_pb2.limit]
    sizes = {"maxLength": limit.max_bytes} if limit.max_bytes else {}
    if "additionalProperties" in schema:
        schema["additionalProperties"] |= sizes
        if sizes:
            schema["propertyNames"] = sizes
        return schema | ({"maxProperties": limit.max_items} if limit.max_items else {})
    if schema.get("type") == "array":
        schema["items"] |= sizes
        schema |= {"minItems": 1} if required else {}
        return schema | ({"maxItems": limit.max_items} if limit.max_items else {})
    if schema.get("type") == "string" and required:
        schema["minLength"] = 1
    return schema | sizes


def _rivals(fields: list[_F]) -> list[tuple[str, str]]:
    """Pairs of fields of which only one can be set."""
    groups: dict[int, list[str]] = {}
    for field in fields:
        if field.HasField("oneof_index") and not field.proto3_optional:
            groups.setdefault(field.oneof_index, []).append(field.name)
    return [pair for group in groups.values() for pair in combinations(group, 2)]


def _short(name: str) -> str:
    """`kintsugi.v1.Event.State` as `v1EventState`."""
    prefix = _PREFIXES.get(name, _PREFIXES[""])
    return prefix + name.removeprefix(f"{PACKAGE}.").replace(".", "")


def _value(example: str, schema: Json) -> Any:
    """An example out of a comment, as JSON where it has the schema's type, else as text."""
    try:
        value = json.loads(example)
    except ValueError:
        return example
    return value if isinstance(value, _KINDS.get(schema.get("type", ""), str)) else example
