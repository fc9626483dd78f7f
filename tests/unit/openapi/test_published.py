"""Programs written for the published exceptions API find in openapi.json what they know."""

import json
import tomllib
from pathlib import Path

import pytest

from server.launch import files

PUBLISHED = tomllib.loads(Path(__file__).with_name("published_exceptions.toml").read_text())
DOCUMENT = json.loads(files.path("openapi.json").read_text(encoding="utf-8"))
SCHEMAS = DOCUMENT["components"]["schemas"]


def spelled(schema):
    """A type as published_exceptions.toml spells it."""
    if "$ref" in schema:
        return schema["$ref"].rpartition("/")[2]
    if schema["type"] == "array":
        return f"[{spelled(schema['items'])}]"
    if schema["type"] == "object" and "additionalProperties" in schema:
        return f"{{{spelled(schema['additionalProperties'])}}}"
    return f"{schema['type']}:{schema['format']}" if "format" in schema else schema["type"]


def spelled_content(response):
    if "$ref" in response:
        response = DOCUMENT["components"]["responses"][response["$ref"].rpartition("/")[2]]
    return {kind: spelled(media["schema"]) for kind, media in response["content"].items()}


@pytest.fixture(params=PUBLISHED["operations"])
def operation(request):
    published = PUBLISHED["operations"][request.param]
    verb, path = published["call"].split()
    ours = DOCUMENT["paths"][path][verb]
    assert ours["operationId"] == request.param
    return published, ours


def test_a_published_call_takes_the_published_parameters(operation):
    published, ours = operation
    queries = {p["name"]: p for p in ours["parameters"] if p["in"] == "query"}
    for name, kind in published["query"].items():
        assert spelled(queries[name]["schema"]) == kind
    assert not any(p.get("required") for p in queries.values())


def test_the_ids_of_a_published_path_are_its_parameters(operation):
    published, ours = operation
    ids = [p["name"] for p in ours["parameters"] if p["in"] == "path"]
    assert ids == [part.strip("{}") for part in published["call"].split("/") if "{" in part]


def test_a_published_call_takes_the_published_body(operation):
    published, ours = operation
    body = ours.get("requestBody", {"required": False})
    if "body" in published:
        assert spelled_content(body) == {"application/json": published["body"]}
    else:
        assert not body["required"]


def test_a_published_call_answers_as_published(operation):
    published, ours = operation
    assert published["answer"].items() <= spelled_content(ours["responses"]["200"]).items()
    assert published["error"].items() <= spelled_content(ours["responses"]["default"]).items()


@pytest.mark.parametrize("name", [n for n, s in PUBLISHED["schemas"].items() if "values" in s])
def test_a_published_enum_has_its_values(name):
    published, ours = PUBLISHED["schemas"][name], SCHEMAS[name]
    assert ours["enum"] == published["values"]
    assert ours["default"] == published["default"]


@pytest.mark.parametrize("name", [n for n, s in PUBLISHED["schemas"].items() if "fields" in s])
def test_a_published_message_has_its_fields(name):
    published, ours = PUBLISHED["schemas"][name], SCHEMAS[name]
    fields = ours.get("properties", {})
    assert published["fields"].items() <= {n: spelled(f) for n, f in fields.items()}.items()
    assert published.get("required", []) == ours.get("required", [])
    for field in published.get("read_only", []):
        assert fields[field]["readOnly"]
