"""Calls as lines for a shell."""

import json
from collections.abc import Iterator
from shlex import quote

from openapi.schemas import Json

SERVER = "http://127.0.0.1:8080"
_EVENTS = "text/event-stream"
_AUTHORIZED = '-H "authorization: Bearer $KINTSUGI_TOKEN"'


def lines(path: str, verb: str, operation: Json) -> str:
    """The call with the document's examples."""
    url = quote(SERVER + _filled(path, operation))
    answers = operation["responses"]["200"]["content"]
    if "requestBody" in operation:
        body = operation["requestBody"]["content"]["application/json"]["example"]
        command = "curl -s" if verb == "post" else f"curl -s -X {verb.upper()}"
        return _continued(f"{command} {url}", _AUTHORIZED, _data(body))
    if "application/json" in answers:
        command = "curl -s" if verb == "get" else f"curl -s -X {verb.upper()}"
        return _continued(f"{command} {url}", _AUTHORIZED, *_query(operation))
    calls = [_continued(f"curl -sN {url}", _AUTHORIZED)]
    if _EVENTS in answers:
        calls.append(_continued(f"curl -sN {url}", _AUTHORIZED, f"-H 'accept: {_EVENTS}'"))
    return "\n\n".join(calls)


def _filled(path: str, operation: Json) -> str:
    """With the ids, and with what the query has to have beside a body."""
    query = []
    for each in operation["parameters"]:
        if each["in"] == "path":
            path = path.replace(f"{{{each['name']}}}", each["example"])
        elif each.get("required"):
            query.append(f"{each['name']}={each['example']}")
    return f"{path}?{'&'.join(query)}" if query else path


def _query(operation: Json) -> Iterator[str]:
    given = [e for e in operation["parameters"] if e["in"] == "query" and "example" in e]
    if given:
        yield "--get"
    for each in given:
        yield "--data-urlencode " + quote(f"{each['name']}={each['example']}")


def _data(body: object) -> str:
    text = json.dumps(body, indent=2, ensure_ascii=False)
    return f"-H 'content-type: application/json' -d @- <<'END'\n{text}\nEND"


def _continued(*parts: str) -> str:
    return " \\\n  ".join(parts)
