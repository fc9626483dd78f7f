"""URLs with places: what is put into one can't reach beyond its place.

The rest of a request is in `request_template.py`.
"""

import re
from typing import NamedTuple
from urllib.parse import quote, unquote

from server.domain.target_hosts import Target
from server.domain.template import (
    Filling,
    Part,
    Place,
    RenderFailed,
    TemplateInvalid,
    is_parameter,
    parse,
)

FIELD = "http.url"
MOST = 8192
"""Characters of a URL."""

_SPLIT = re.compile(
    r"(?P<scheme>https?)://(?P<authority>[^/?#]+)(?P<path>/[^?#]*)?(?P<query>\?[^#]*)?"
)
_LITERAL = re.compile(r"[A-Za-z0-9._~!$&'()*+,;=:@/?%\[\]-]*")
_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
_MARKS = range(0xE000, 0xF900)
"""Characters for private use, which stand for the places while a URL is taken apart."""
_MARK = re.compile(f"[{chr(_MARKS[0])}-{chr(_MARKS[-1])}]")
_NAMES = {"action.name", "exception.name", "exception.run", "exception.automation"}
"""What stands for them has / in it."""
_IN_HOST = re.compile(r"[A-Za-z0-9.-]{1,253}")
_NOT_IN_PATH = re.compile(r"[/\\\x00-\x1f\x7f]|%[0-9A-Fa-f]{2}")
"""What some servers take for the end of a segment, also in an escape or one within another."""


class FilledUrl(NamedTuple):
    """`entities` are the parameters in its path and query, each once."""

    url: str
    target: Target
    entities: list[str]


class UrlTemplate(NamedTuple):
    """A URL in its parts, where marks stand for the places."""

    scheme: str
    authority: str
    path: str
    query: str
    places: list[Place]

    @classmethod
    def parse(cls, text: str) -> "UrlTemplate":
        """Raises TemplateInvalid."""
        parts = parse(text)
        places = [part for part in parts if isinstance(part, Place)]
        _check_literals(parts)
        marks = iter(_MARKS)
        marked = "".join(part if isinstance(part, str) else chr(next(marks)) for part in parts)
        match = _SPLIT.fullmatch(marked)
        if match is None:
            raise TemplateInvalid("must be such as https://host/path?query, without a fragment")
        found = cls(
            match["scheme"], match["authority"], match["path"] or "/", match["query"] or "", places
        )
        found._check()
        return found

    @property
    def target(self) -> Target | None:
        """Where it leads; None if that depends on what is filled in."""
        return Target.parse(f"{self.scheme}://{self.authority}")

    def fill(self, filling: Filling) -> FilledUrl:
        """Raises RenderFailed."""
        authority = _MARK.sub(lambda mark: _host(*self._value(mark, filling)), self.authority)
        target = Target.parse(f"{self.scheme}://{authority}")
        if target is None:
            raise RenderFailed(FIELD, f"has no host in {authority[:100]!r}")
        entities: dict[str, None] = {}

        def escaped(mark: re.Match[str]) -> str:
            place, value = self._value(mark, filling)
            if is_parameter(place.key):
                entities[value] = None
            return quote(value if mark.string is self.query else _segment(place, value), safe="")

        path, query = _MARK.sub(escaped, self.path), _MARK.sub(escaped, self.query)
        _check_segments(path)
        url = f"{self.scheme}://{authority}{path}{query}"
        if len(url) > MOST:
            raise RenderFailed(FIELD, f"becomes longer than {MOST} characters")
        return FilledUrl(url, target, list(entities))

    def _value(self, mark: re.Match[str], filling: Filling) -> tuple[Place, str]:
        place = self.places[ord(mark[0]) - _MARKS[0]]
        return place, filling.text(place)

    def _check(self) -> None:
        if not _MARK.search(self.authority) and self.target is None:
            raise TemplateInvalid("must have a host, and nothing else but a port beside it")
        if "@" in self.authority:
            raise TemplateInvalid("can't have a user or a password; see auth")
        if any(_is_dots(segment) for segment in self.path.split("/")):
            raise TemplateInvalid("can't have the segments . or ..")
        for mark in _MARK.findall(self.path):
            key = self.places[ord(mark) - _MARKS[0]].key
            if key in _NAMES:
                raise TemplateInvalid(f"{key} is a name with /, which can't be in a path")


def _check_literals(parts: list[Part]) -> None:
    for part in parts:
        if isinstance(part, str):
            if not _LITERAL.fullmatch(part):
                raise TemplateInvalid(
                    "has a character that has to be escaped by %, or, in a host, by punycode, or"
                    " a fragment"
                )
            if _BAD_ESCAPE.search(part):
                raise TemplateInvalid("has a % that two hexadecimal digits don't follow")


def _check_segments(path: str) -> None:
    if any(_is_dots(segment) for segment in path.split("/")):
        raise RenderFailed(FIELD, "would have the segment . or ..")


def _is_dots(segment: str) -> bool:
    """Whether servers take it for a step in the tree of paths."""
    return unquote(segment).partition(";")[0] in (".", "..")


def _host(place: Place, value: str) -> str:
    if not _IN_HOST.fullmatch(value):
        raise RenderFailed(place.field, "must be of letters, digits, hyphens and dots in a host")
    return value


def _segment(place: Place, value: str) -> str:
    if not value:
        raise RenderFailed(place.field, "is empty, which it can't be in a path")
    if _NOT_IN_PATH.search(value):
        raise RenderFailed(
            place.field, r"has / or \, an escape of % or a control character: not in a path"
        )
    return value
