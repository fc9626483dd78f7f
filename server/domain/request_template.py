"""Requests with places: what a connector sends for an action, made of the action's values.

Pure; how it is sent is in `outbound/`. What is filled in never changes the form of the request.
"""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from kintsugi.v1 import action_pb2, connector_pb2, exception_pb2

from server.domain.errors import Violation
from server.domain.json_values import Parameters, plain
from server.domain.target_hosts import Target, is_allowed
from server.domain.template import (
    Filling,
    Part,
    Place,
    RenderFailed,
    TemplateInvalid,
    is_parameter,
    parse,
)
from server.domain.url_template import FIELD, MOST, UrlTemplate

MAX_BODY = 256 * 1024
"""Characters that the places of a body may be filled with."""
MAX_HEADER = 4096
"""The same of one header line."""

_DEEPEST = 64
_MOST_ENTITIES = 16
_BAD_IN_HEADER = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_FREE_TEXT = ("exception.message", "exception.extra.")
_EXCEPTION_FIELDS = ("name", "run", "automation", "message", "execution_id", "number")


class Rendered(NamedTuple):
    """`target_system` is the host, `target_entities` what is named in the URL."""

    request: action_pb2.Action.Request
    target_system: str
    target_entities: Sequence[str]


def values_of(
    parameters: Parameters, exception: exception_pb2.Exception | None, action_name: str
) -> dict[str, Any]:
    """What places may be filled with, by what stands in them.

    A parameter can't pass for a field of the exception. Raises RenderFailed where a parameter is
    no JSON.
    """
    values = {"action.name": action_name}
    for key in filter(is_parameter, parameters):
        try:
            values[key] = plain(parameters[key])
        except (ValueError, RecursionError) as error:
            raise RenderFailed(f"parameters.{key}", str(error)) from None
    return values if exception is None else values | _fields_of(exception)


def render(http: connector_pb2.HttpRequest, values: Mapping[str, Any]) -> Rendered:
    """The request with its places filled; credentials aren't in it. Raises RenderFailed."""
    url, target, entities = _checked(FIELD, UrlTemplate.parse, http.url).fill(
        Filling(values, MOST, FIELD)
    )
    _check_allowed(http, target)
    body = _body(http.body, Filling(values, MAX_BODY, "http.body"))
    headers = {name: _header(name, text, values) for name, text in http.headers.items()}
    if body and "content-type" not in map(str.lower, headers):
        headers["Content-Type"] = "application/json"
    request = action_pb2.Action.Request(method=http.method, url=url, headers=headers, body=body)
    return Rendered(request, str(target), entities[:_MOST_ENTITIES])


def target_of(http: connector_pb2.HttpRequest, url: str) -> Target:
    """Where a rendered URL leads. Raises RenderFailed where the connector may not send there."""
    target = Target.parse("/".join(url.split("/")[:3]))
    if target is None:
        raise RenderFailed(FIELD, "has no host")
    _check_allowed(http, target)
    return target


def _check_allowed(http: connector_pb2.HttpRequest, target: Target) -> None:
    """Without a list the URL's own host is the only one; then there is no place in it."""
    if not http.allowed_hosts:
        is_right = target == _checked(FIELD, UrlTemplate.parse, http.url).target
    else:
        is_right = is_allowed(target, http.allowed_hosts)
    if not is_right:
        raise RenderFailed(FIELD, f"leads to {target}, which isn't among allowed_hosts")


def violations(http: connector_pb2.HttpRequest) -> list[Violation]:
    """What is wrong with the places of a request, by its fields: `url`, `headers`, `body`."""
    found = [
        *_problems("url", UrlTemplate.parse, http.url),
        *_problems("body", _parse_body, http.body),
    ]
    for name, text in http.headers.items():
        found += _problems(f"headers.{name}", _parse_header, text)
    return found


def has_free_text(http: connector_pb2.HttpRequest) -> bool:
    """Whether a valid request has a place for what whoever raises an exception words freely."""
    body: list[Part] = []
    _with_texts(_parse_body(http.body), lambda text: body.extend(parse(text)))
    url = UrlTemplate.parse(http.url).places
    headers = [part for text in http.headers.values() for part in _parse_header(text)]
    return any(
        isinstance(part, Place) and part.key.startswith(_FREE_TEXT)
        for part in (*url, *headers, *body)
    )


def _problems(field: str, parsed: Callable[[str], Any], text: str) -> list[Violation]:
    try:
        parsed(text)
    except TemplateInvalid as error:
        return [(field, str(error))]
    return []


def _checked(field: str, parsed: Callable[[str], Any], text: str) -> Any:
    try:
        return parsed(text)
    except TemplateInvalid as error:
        raise RenderFailed(field, str(error)) from None


def _fields_of(exception: exception_pb2.Exception) -> dict[str, Any]:
    fields = {f"exception.{name}": getattr(exception, name) for name in _EXCEPTION_FIELDS}
    extra = {f"exception.extra.{key}": value for key, value in exception.extra.items()}
    return fields | extra


def _parse_header(text: str) -> list[Part]:
    if _BAD_IN_HEADER.search(text):
        raise TemplateInvalid("can't have control characters")
    return parse(text)


def _header(name: str, text: str, values: Mapping[str, Any]) -> str:
    field = f"http.headers.{name}"
    parts = _checked(field, _parse_header, text)
    filled = Filling(values, MAX_HEADER, field).joined(parts)
    if _BAD_IN_HEADER.search(filled):
        raise RenderFailed(field, "would have a control character in it")
    return filled


def _body(text: str, filling: Filling) -> str:
    if not text:
        return ""
    template = _checked("http.body", _parse_body, text)
    filled = _with_texts(template, lambda each: _typed(parse(each), filling))
    return json.dumps(filled, ensure_ascii=False, allow_nan=False)


def _typed(parts: list[Part], filling: Filling) -> Any:
    """A text that is nothing but one place is the value itself."""
    if len(parts) == 1 and isinstance(parts[0], Place):
        return filling.value(parts[0])
    return filling.joined(parts)


def _parse_body(text: str) -> Any:
    """The JSON of a body, where the texts may have places; None for an empty body."""
    if not text:
        return None
    try:
        value = json.loads(text)
        json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
    except (ValueError, RecursionError) as error:
        raise TemplateInvalid(f"is no JSON: {error}") from None
    _with_texts(value, parse)
    return value


def _with_texts(value: Any, replaced: Callable[[str], Any], depth: int = _DEEPEST) -> Any:
    """The JSON value with its texts replaced, but not its keys."""
    if depth < 0:
        raise TemplateInvalid(f"is nested in more than {_DEEPEST} levels")
    if isinstance(value, str):
        return replaced(value)
    if isinstance(value, list):
        return [_with_texts(each, replaced, depth - 1) for each in value]
    if isinstance(value, dict):
        return {key: _with_texts(each, replaced, depth - 1) for key, each in value.items()}
    return value
