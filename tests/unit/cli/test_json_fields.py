"""JSON and YAML that people write, and what they are told about it."""

import io

import click
import pytest
from kintsugi.v1 import connector_service_pb2 as service
from kintsugi.v1.connector_pb2 import Connector, HttpRequest

from cli.json_fields import fill, read, struct, written
from cli.json_lines import json_line


@pytest.mark.parametrize(
    "text",
    [
        '{"action_type": "a", "http": {"method": "POST", "timeout": "2s"}}',
        "action_type: a\nhttp: {method: POST, timeout: 2s}\n",
    ],
)
def test_a_file_is_read_as_json_and_as_yaml(text: str) -> None:
    http = HttpRequest(method="POST", timeout={"seconds": 2})
    assert fill(Connector(), read(io.StringIO(text)), "file") == Connector(
        action_type="a", http=http
    )


def test_what_is_written_can_be_read_again() -> None:
    connector = Connector(action_type="a", title="Größe", http=HttpRequest(url="http://x/{b}"))
    assert fill(Connector(), read(io.StringIO(written(connector))), "file") == connector


@pytest.mark.parametrize("text", ["{", "", "- a", "a: b: c", "x"])
def test_what_says_no_fields_is_refused(text: str) -> None:
    file = io.StringIO(text)
    file.name = "file"
    with pytest.raises(click.ClickException, match="file"):
        read(file)


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ({"colour": "red"}, "file: colour is not a field of Connector"),
        (
            {"action_typ": "a"},
            "file: action_typ is not a field of Connector; did you mean action_type?",
        ),
        (
            {"http": {"alow_private": True}},
            "file: http.alow_private is not a field of HttpRequest; did you mean allow_private?",
        ),
        (
            {"http": {"retry": {"maxattempts": 3}}},
            "file: http.retry.maxattempts is not a field of Retry; did you mean max_attempts?",
        ),
        ({"http": "GET"}, "file: http must say fields"),
    ],
)
def test_a_field_that_there_is_not_is_named_as_it_was_written(
    said: dict[str, object], told: str
) -> None:
    with pytest.raises(click.ClickException) as refused:
        fill(Connector(), said, "file")
    assert refused.value.message == told


@pytest.mark.parametrize("said", [{"http": {"timeout": "soon"}}, {"risk": []}])
def test_what_a_field_can_not_be_is_refused(said: dict[str, object]) -> None:
    with pytest.raises(click.ClickException, match="file: "):
        fill(Connector(), said, "file")


def test_names_of_headers_and_both_ways_to_write_a_field_are_taken() -> None:
    said = {"actionType": "a", "http": {"headers": {"X-Any": "1"}, "auth": None}}
    http = HttpRequest(headers={"X-Any": "1"})
    assert fill(Connector(), said, "file") == Connector(action_type="a", http=http)


def test_whole_numbers_have_no_point() -> None:
    tested = service.TestConnectorResponse()
    tested.result.response.update({"status": 302, "body": {"total": 99.5}})
    assert "status: 302\n" in written(tested)
    assert "total: 99.5\n" in written(tested)
    assert '"status": 302' in json_line(tested)
    assert "302." not in json_line(tested)


def test_parameters_are_a_json_object() -> None:
    assert dict(struct('{"batch": "b-7"}', "--parameters")) == {"batch": "b-7"}
    for text in ("[]", "{", "b-7"):
        with pytest.raises(click.UsageError, match="--parameters"):
            struct(text, "--parameters")
