"""openapi.json says all that is served, and its examples are what it says."""

import json
import re
from itertools import chain

import pytest
from google.api import annotations_pb2
from google.protobuf.descriptor_pb2 import FileDescriptorSet
from jsonschema import ValidationError
from kintsugi.v1.error_reason_pb2 import ErrorReason
from openapi_schema_validator import OAS31Validator, oas31_format_checker
from openapi_spec_validator import OpenAPIV31SpecValidator

from server.launch import files
from server.resources.document import DESCRIBED

DOCUMENT = json.loads(files.path("openapi.json").read_text(encoding="utf-8"))
SCHEMAS = DOCUMENT["components"]["schemas"]
OPERATIONS = {
    operation["operationId"]: operation
    for verbs in DOCUMENT["paths"].values()
    for operation in verbs.values()
}


def check(value, schema):
    whole = {**schema, "components": DOCUMENT["components"]}
    OAS31Validator(whole, format_checker=oas31_format_checker).validate(value)


def parameter(operation, name):
    [found] = (p for p in OPERATIONS[operation]["parameters"] if p["name"] == name)
    return found


def test_the_document_is_openapi():
    OpenAPIV31SpecValidator(DOCUMENT).validate()


def test_every_call_of_the_protos_is_there_once():
    protos = FileDescriptorSet.FromString(files.path("descriptors.binpb").read_bytes())
    methods = [method for file in protos.file for each in file.service for method in each.method]
    streams_as_events = ".google.api.HttpBody"
    calls = sum(
        1 + len(method.options.Extensions[annotations_pb2.http].additional_bindings)
        for method in methods
        if method.output_type != streams_as_events
    )
    assert len(OPERATIONS) == sum(map(len, DOCUMENT["paths"].values())) == calls
    assert {method.name for method in methods} <= OPERATIONS.keys()


def test_paths_are_written_with_ids_and_verbs():
    paths = "".join(DOCUMENT["paths"])
    assert "*" not in paths
    assert "=" not in paths
    assert any(path.endswith("/exceptions/{exception_id}:resolve") for path in DOCUMENT["paths"])


def test_a_stream_can_be_had_as_lines_and_as_server_sent_events():
    for name in ("StreamEvents", "StreamEventsOfAgentSession", "WatchExceptions"):
        kinds = ["application/x-ndjson", "text/event-stream"]
        assert list(OPERATIONS[name]["responses"]["200"]["content"]) == kinds
        assert parameter(name, "Last-Event-ID")["in"] == "header"


def test_the_filter_of_a_list_tells_its_fields():
    for collection, schema in DESCRIBED.items():
        paths = [path for path in DOCUMENT["paths"] if path.endswith(f"}}/{collection}")]
        lists = [DOCUMENT["paths"][path]["get"]["parameters"] for path in paths]
        told = [p["description"] for each in lists for p in each if p["name"] == "filter"]
        assert told
        for field, kind in schema.fields().items():
            assert all(f"| `{field}` | {kind.type_name} |" in text for text in told)


def test_every_reason_of_an_error_is_told():
    told = SCHEMAS["v1ErrorReason"]["description"]
    reasons = ErrorReason.keys()
    assert SCHEMAS["v1ErrorReason"]["enum"] == reasons
    assert all(f"- `{reason}`: " in told for reason in reasons)


def test_every_call_takes_a_token_and_says_how_it_is_refused():
    assert DOCUMENT["security"] == [{"BearerAuth": []}]
    assert DOCUMENT["components"]["securitySchemes"]["BearerAuth"]["scheme"] == "bearer"
    for operation in OPERATIONS.values():
        assert "security" not in operation
        assert {"200", "401", "403", "default"} == operation["responses"].keys()


@pytest.mark.parametrize("name", OPERATIONS)
def test_examples_of_errors_are_errors_that_there_are(name):
    for status in ("401", "403", "default"):
        response = OPERATIONS[name]["responses"][status]
        short = response.get("$ref", "").rpartition("/")[2]
        response = DOCUMENT["components"]["responses"].get(short, response)
        for media in response["content"].values():
            check(media["example"], media["schema"])
            [reason] = re.findall(r"reason\W+(\w+)", json.dumps(media["example"]))
            assert reason in set(ErrorReason.keys())


def test_an_update_asks_only_for_what_can_be_changed():
    body = SCHEMAS["UpdateExceptionBody"]
    assert set(body["properties"]) == {"group", "extra", "assignee", "etag"}
    assert not any("required" in SCHEMAS[f"Update{name}Body"] for name in ("Exception", "Member"))


def test_a_body_has_no_field_that_the_path_sets():
    assert "name" not in SCHEMAS["ResolveExceptionBody"]["properties"]
    assert "parent" not in SCHEMAS["BatchCreateExceptionsBody"]["properties"]


def test_only_one_of_a_choice_can_be_given():
    check({"text": "a"}, {"$ref": "#/components/schemas/v1InputContent"})
    with pytest.raises(ValidationError, match="should not be valid"):
        check({"text": "a", "file": {}}, {"$ref": "#/components/schemas/v1InputContent"})


@pytest.mark.parametrize("name", OPERATIONS)
def test_examples_are_what_the_schemas_say(name):
    operation = OPERATIONS[name]
    for each in operation["parameters"]:
        if "example" in each:
            check(each["example"], each["schema"])
    content = operation.get("requestBody", {"content": {}})["content"]
    for media in chain(content.values(), operation["responses"]["200"]["content"].values()):
        check(media["example"], media["schema"])


@pytest.mark.parametrize("name", SCHEMAS)
def test_examples_of_fields_are_what_their_schemas_say(name):
    for field in SCHEMAS[name].get("properties", {}).values():
        for example in field.get("examples", []):
            check(example, field)


def test_the_introduction_says_which_errors_have_a_reason_and_what_is_not_refused():
    said = DOCUMENT["info"]["description"]
    assert "has only a code and a message" in said
    assert "unknown fields further in are ignored" in said
