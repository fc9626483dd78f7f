"""Schemas in the words of the reference page."""

import re
from html import escape

from openapi.markup import markdown, rows
from openapi.schemas import Json


class Types:
    """Links to the named ones among them."""

    def __init__(self, components: dict[str, Json]) -> None:
        self._components = components

    def link(self, name: str) -> str:
        return f'<a class="type" href="#{name}">{name}</a>'

    def linked(self, html: str) -> str:
        """With links where a text speaks of one."""
        names = "|".join(self._components)
        return re.sub(rf"<code>({names})</code>", r'<a href="#\1"><code>\1</code></a>', html)

    def inline(self, schema: Json) -> str:
        """`array of v1Exception`."""
        if "$ref" in schema:
            return self.link(schema["$ref"].rpartition("/")[2])
        if "contentSchema" in schema:
            return self._content(schema)
        if schema.get("type") == "array":
            return f"array of {self.inline(schema['items'])}"
        if "additionalProperties" in schema and "properties" not in schema:
            return f"map of {self.inline(schema['additionalProperties'])}"
        kind = schema.get("format") or schema.get("type", "any")
        return f'<span class="type">{escape(kind)}</span>'

    def fields(self, schema: Json, *, written: bool = False) -> str:
        """A table of the fields; without those that a caller can't write, if it is `written`."""
        if "$ref" in schema:
            schema = self._components[schema["$ref"].rpartition("/")[2]]
        required = schema.get("required", ())
        return rows(
            (name, self._field_type(field), name in required, field.get("description", ""))
            for name, field in schema.get("properties", {}).items()
            if not (written and "readOnly" in field)
        )

    def section(self, name: str) -> str:
        """All about one with a name."""
        schema = self._components[name]
        text = markdown(schema.get("description", ""))
        heading = f'<h3><a href="#{name}">{name}</a></h3>'
        return f'<article id="{name}">{heading}{text}{self.fields(schema)}</article>'

    def _content(self, schema: Json) -> str:
        """What a text is made of: the messages of a stream."""
        inner = schema["contentSchema"]["items"]
        if "$ref" not in inner:
            inner = inner["properties"]["data"]["contentSchema"]
        return f"{escape(schema['description'])} {self.inline(inner)}"

    def _field_type(self, field: Json) -> str:
        more = ' <span class="badge">read only</span>' if "readOnly" in field else ""
        return self.inline(field) + more
