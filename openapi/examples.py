"""Examples of whole messages, put together from those of their fields."""

from typing import Any

from openapi.schemas import Json

TIME = "2026-10-07T09:15:00.250Z"
_EMPTY: Json = {
    "string": "",
    "boolean": False,
    "date-time": TIME,
    "byte": "",
    "int32": 0,
    "int64": "0",
    "uint64": "0",
    "double": 0,
    "float": 0,
}


class Examples:
    """Made of the components that schemas refer to."""

    def __init__(self, components: dict[str, Json]) -> None:
        self._components = components

    def request(self, schema: Json) -> Any:
        """With what a caller has to say, and what has an example of its own."""
        return self._value(schema, answered=False)

    def response(self, schema: Json) -> Any:
        """With all fields that are set, as Envoy prints them."""
        return self._value(schema, answered=True)

    def _value(self, schema: Json, *, answered: bool) -> Any:
        if "examples" in schema:
            return schema["examples"][0]
        if "$ref" in schema:
            schema = self._components[schema["$ref"].rpartition("/")[2]]
        if "enum" in schema:
            return schema["enum"][min(1, len(schema["enum"]) - 1)]
        if schema.get("type") == "array":
            item = self._value(schema["items"], answered=answered)
            return [item] if item else []
        if schema.get("type") == "object":
            return self._object(schema, answered=answered)
        return _EMPTY.get(schema.get("format") or schema.get("type", ""))

    def _object(self, schema: Json, *, answered: bool) -> Json:
        made: Json = {}
        for name, field in schema.get("properties", {}).items():
            shown = self._is_answered(field) if answered else self._is_asked(name, field, schema)
            if shown and not _has_rival(name, made, schema):
                made[name] = self._value(field, answered=answered)
        return made

    def _is_answered(self, field: Json) -> bool:
        return "writeOnly" not in field and not field.get("$ref", "").endswith("/rpcStatus")

    def _is_asked(self, name: str, field: Json, owner: Json) -> bool:
        if "readOnly" in field or name == "name":
            return False
        wanted = name in owner.get("required", ()) or "examples" in field
        return wanted or ("$ref" in field and self._value(field, answered=False) not in ({}, None))


def _has_rival(name: str, made: Json, schema: Json) -> bool:
    pairs = [each["required"] for each in schema.get("not", {}).get("anyOf", ())]
    return any(name in pair and not made.keys().isdisjoint(pair) for pair in pairs)
