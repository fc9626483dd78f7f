"""JSON and YAML that people write, as messages; what is wrong with it in one line.

How messages are printed is in `json_lines`.
"""

import json
from collections.abc import Iterator
from difflib import get_close_matches
from typing import IO, Any, TypeVar

import click
import yaml
from google.protobuf.descriptor import Descriptor
from google.protobuf.json_format import ParseDict, ParseError
from google.protobuf.message import Message
from google.protobuf.struct_pb2 import Struct

from cli.json_lines import fields_of

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


def fill(message: M, said: dict[str, Any], what: str) -> M:
    """The message with the fields. Raises click.ClickException, which names `what`."""
    for wrong in _wrong(message.DESCRIPTOR, said):  # type: ignore[arg-type]  # the same in C
        raise click.ClickException(f"{what}: {wrong}")
    try:
        return ParseDict(said, message)
    except ParseError as error:
        raise click.ClickException(f"{what}: {error}") from None


def _wrong(message: Descriptor, said: Any, path: str = "") -> Iterator[str]:
    """Each field that the message doesn't have, as it was written."""
    if message.GetOptions().map_entry or message.file.package == "google.protobuf":
        return
    if not isinstance(said, dict):
        yield f"{path} must say fields"
        return
    known = {name: field for field in message.fields for name in (field.name, field.json_name)}
    for key, value in said.items():
        where = f"{path}.{key}" if path else str(key)
        if key not in known:
            near = get_close_matches(str(key), [field.name for field in message.fields], n=1)
            hint = f"; did you mean {near[0]}?" if near else ""
            yield f"{where} is not a field of {message.name}{hint}"
        elif (kind := known[key].message_type) and value is not None:
            yield from _wrong(kind, value, where)


def written(message: Message) -> str:
    """The message in YAML, without what is unset."""
    fields = fields_of(message, defaults=False)
    return yaml.safe_dump(fields, sort_keys=False, allow_unicode=True)
