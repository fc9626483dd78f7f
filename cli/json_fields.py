"""JSON and YAML that people write, as messages; what is wrong with it in one line.

How messages are printed is in `json_lines`.
"""

import json
from typing import IO, Any, TypeVar

import click
import yaml
from google.protobuf.json_format import MessageToDict, ParseDict, ParseError
from google.protobuf.message import Message
from google.protobuf.struct_pb2 import Struct

M = TypeVar("M", bound=Message)


def struct(text: str, what: str) -> Struct:
    """A JSON object as a Struct. Raises click.UsageError, which names `what`."""
    try:
        said = json.loads(text)
    except ValueError as error:
        raise click.UsageError(f"{what} is no JSON: {error}") from None
    if not isinstance(said, dict):
        raise click.UsageError(f'{what} must be a JSON object, such as {{"batch": "b-7"}}')
    return ParseDict(said, Struct())


def read(file: IO[str]) -> dict[str, Any]:
    """The fields that a file says, in JSON or YAML. Raises click.ClickException."""
    try:
        said = yaml.safe_load(file)
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise click.ClickException(f"{file.name} is no JSON or YAML: {error}") from None
    if not isinstance(said, dict):
        raise click.ClickException(f"{file.name} must say fields: `action_type: …`")
    return said


def fill(message: M, said: dict[str, Any]) -> M:
    """The message with the fields. Raises click.ClickException."""
    try:
        return ParseDict(said, message)
    except ParseError as error:
        raise click.ClickException(str(error)) from None


def written(message: Message) -> str:
    """The message in YAML, without what is unset."""
    fields = MessageToDict(message, preserving_proto_field_name=True)
    return yaml.safe_dump(fields, sort_keys=False, allow_unicode=True)
