"""Texts with places: `batch {batch}` is filled with the value of `batch`.

Where such texts stand in a request, and what may be put in there, is in `request_template.py`.
"""

import json
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from server.domain.errors import InvalidFields

_TOKEN = re.compile(r"\{\{|\}\}|\{(?P<place>[^{}]*)\}|[{}]|[^{}]+")
_PLACE = re.compile(
    r"[A-Za-z0-9_-]{1,128}|action\.name"
    r"|exception\.(name|run|automation|message|execution_id|number|extra\.[^{}]{1,256})"
)
_PARAMETER = re.compile(r"[A-Za-z0-9_-]{1,128}")


class RenderFailed(InvalidFields):
    """What was given doesn't fit; `field` is such as `parameters.batch` or `http.url`."""

    def __init__(self, field: str, what: str) -> None:
        super().__init__([(field, what)])
        self.field, self.what = field, what


class TemplateInvalid(Exception):
    """A text isn't one with places; the message says why."""


class Place(NamedTuple):
    """A place in a text, by what it is to be filled with."""

    key: str

    @property
    def field(self) -> str:
        """What is to be blamed for its value."""
        return f"parameters.{self.key}" if is_parameter(self.key) else self.key


Part = str | Place


def is_parameter(key: str) -> bool:
    """Whether it can be the name of a parameter in a place."""
    return bool(_PARAMETER.fullmatch(key))


def parse(text: str) -> list[Part]:
    """The text as what stands as it is and places, in order. Raises TemplateInvalid."""
    parts: list[Part] = []
    for token in _TOKEN.finditer(text):
        if token["place"] is not None:
            parts.append(_place(token["place"]))
        elif token[0] in ("{", "}"):
            raise TemplateInvalid(f"has a single {token[0]}; {token[0] * 2} means the brace itself")
        else:
            parts.append(token[0].replace("{{", "{").replace("}}", "}"))
    return parts


def _place(key: str) -> Place:
    if not _PLACE.fullmatch(key):
        raise TemplateInvalid(
            f"has the place {{{key[:100]}}}, which is neither a parameter nor a field of the"
            " exception"
        )
    return Place(key)


class Filling:
    """What places are filled with, and how many characters may still be put in."""

    def __init__(self, values: Mapping[str, Any], limit: int, field: str) -> None:
        """`field` is the field of the template, blamed where it becomes too long."""
        self._values, self._left, self._limit, self._field = values, limit, limit, field

    def value(self, place: Place) -> Any:
        """A JSON value. Raises RenderFailed where it is missing or too long."""
        if place.key not in self._values:
            raise RenderFailed(place.field, "is missing")
        value = self._values[place.key]
        self._take(len(value) if isinstance(value, str) else len(json.dumps(value)))
        return value

    def text(self, place: Place) -> str:
        """The value as a text. Raises RenderFailed where it has no such form."""
        value = self.value(place)
        if isinstance(value, bool):
            return "true" if value else "false"
        if isinstance(value, int | float):
            return json.dumps(value)
        if not isinstance(value, str):
            raise RenderFailed(place.field, "must be a text, a number or a boolean here")
        return value

    def joined(self, parts: list[Part]) -> str:
        return "".join(part if isinstance(part, str) else self.text(part) for part in parts)

    def _take(self, size: int) -> None:
        self._left -= size
        if self._left < 0:
            raise RenderFailed(self._field, f"becomes longer than {self._limit} characters")
