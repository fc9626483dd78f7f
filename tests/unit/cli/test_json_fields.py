"""JSON and YAML that people write, and what they are told about it."""

import io

import click
import pytest
from kintsugi.v1.connector_pb2 import Connector, HttpRequest

from cli.json_fields import fill, read, struct, written


@pytest.mark.parametrize(
    "text",
    [
        '{"action_type": "a", "http": {"method": "POST", "timeout": "2s"}}',
        "action_type: a\nhttp: {method: POST, timeout: 2s}\n",
    ],
)
def test_a_file_is_read_as_json_and_as_yaml(text: str) -> None:
    http = HttpRequest(method="POST", timeout={"seconds": 2})
    assert fill(Connector(), read(io.StringIO(text))) == Connector(action_type="a", http=http)


def test_what_is_written_can_be_read_again() -> None:
    connector = Connector(action_type="a", title="Größe", http=HttpRequest(url="http://x/{b}"))
    assert fill(Connector(), read(io.StringIO(written(connector)))) == connector


@pytest.mark.parametrize("text", ["{", "", "- a", "a: b: c", "x"])
def test_what_says_no_fields_is_refused(text: str) -> None:
    file = io.StringIO(text)
    file.name = "file"
    with pytest.raises(click.ClickException, match="file"):
        read(file)


@pytest.mark.parametrize("said", [{"colour": "red"}, {"http": {"timeout": "soon"}}, {"risk": []}])
def test_what_a_message_does_not_know_is_refused(said: dict[str, object]) -> None:
    with pytest.raises(click.ClickException):
        fill(Connector(), said)


def test_parameters_are_a_json_object() -> None:
    assert dict(struct('{"batch": "b-7"}', "--parameters")) == {"batch": "b-7"}
    for text in ("[]", "{", "b-7"):
        with pytest.raises(click.UsageError, match="--parameters"):
            struct(text, "--parameters")
