"""`kintsugi connectors …`: how the actions of a type are carried out on a target system.

What a connector may say is in the service's documentation; here it comes from a file.
"""

import json
import os
from typing import IO, TYPE_CHECKING, Final

import click

from cli import names, settings
from cli.terminal import say

if TYPE_CHECKING:
    from google.protobuf.message import Message
    from kintsugi.v1 import connector_pb2 as pb

_SECONDS = 330.0
"""What a call of `test --send` may take: an attempt takes at most 300 s."""

_NOT_EDITED: Final = ("name", "revision", "create_time", "update_time")
"""What `edit` doesn't take; with the etag it changes what was shown, and nothing newer."""

_connector = click.argument("connector")
_file = click.option(
    "--file", "file", required=True, type=click.File(), help="In JSON or YAML; `-` reads stdin."
)
_as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON as REST does.")


@click.group()
def connectors() -> None:
    """Say how actions are carried out.

    CONNECTOR is an id, `connectors/ID` or a full name. A file says, as REST does:

    \b
      action_type: reprocess_usage_batch
      http:
        method: POST
        url: https://billing.example.com/v1/batches/{batch}:reprocess
        body: {"reason": "exception {exception.number}"}
        auth: {secret: "env:KINTSUGI_SECRET_BILLING"}
    """
    os.environ.setdefault(*settings.QUIET)


@connectors.command("list")
@click.option("--filter", "matching", default="", help="Which ones: `risk = LOW`.")
@_as_json
def list_(*, matching: str, as_json: bool) -> None:
    """List the connectors by their ids."""
    from cli.connector_client import ConnectorClient
    from cli.json_lines import json_line
    from cli.screen import print_rows

    found = ConnectorClient.from_environment().all(matching)
    if as_json:
        for one in found:
            click.echo(json_line(one))
        return
    rows = [(_id(one), one.action_type, _risk(one), _request(one), one.title) for one in found]
    print_rows(("id", "action type", "risk", "request", "title"), rows)


@connectors.command()
@_connector
@_as_json
def show(*, connector: str, as_json: bool) -> None:
    """Show a connector: in YAML, as `edit` takes it."""
    from cli.connector_client import ConnectorClient

    found = ConnectorClient.from_environment().get(names.connector(connector))
    for field in () if as_json else _NOT_EDITED:
        found.ClearField(field)
    _print(found, as_json=as_json)


@connectors.command()
@_connector
@_file
@_as_json
def create(*, connector: str, file: IO[str], as_json: bool) -> None:
    """Create a connector from a file."""
    from cli.connector_client import ConnectorClient

    said, _ = _read(file)
    id = names.connector(connector).rpartition("/")[2]
    made = ConnectorClient.from_environment().create(id, said)
    _done(made, "created", as_json=as_json)


@connectors.command()
@_connector
@_file
@_as_json
def edit(*, connector: str, file: IO[str], as_json: bool) -> None:
    """Change what a file says; what it doesn't say stays."""
    from cli.connector_client import ConnectorClient

    said, fields = _read(file)
    client, name = ConnectorClient.from_environment(), names.connector(connector)
    if said.action_type and said.action_type != client.get(name).action_type:
        raise click.ClickException("the action type of a connector can't be changed")
    said.name = name
    changed = client.change(said, [field for field in fields if field != "action_type"])
    _done(changed, f"is at revision {changed.revision}", as_json=as_json)


@connectors.command()
@_connector
def delete(*, connector: str) -> None:
    """Delete a connector for good: actions of its type are done by people then."""
    from cli.connector_client import ConnectorClient

    name = names.connector(connector)
    ConnectorClient.from_environment().delete(name)
    say(f"{name.rpartition('/')[2]} was deleted")


@connectors.command()
@_connector
@click.option("--parameters", default="{}", metavar="JSON", help='Such as {"batch": "b-7"}.')
@click.option("--exception", default="", help="Whose fields are put in.")
@click.option("--send", is_flag=True, help="Send it, once, marked as a dry run.")
@_as_json
def test(*, connector: str, parameters: str, exception: str, send: bool, as_json: bool) -> int:
    """Show what it would send, and with --send what comes of it.

    Exit code: 1 if it was sent and didn't work.
    """
    from kintsugi.v1.connector_service_pb2 import TestConnectorRequest

    from cli.connector_client import ConnectorClient
    from cli.json_fields import struct

    request = TestConnectorRequest(
        name=names.connector(connector),
        parameters=struct(parameters, "--parameters"),
        exception=names.exception(exception) if exception else "",
        send=send,
    )
    tested = ConnectorClient.from_environment().test(request, _SECONDS)
    _print(tested, as_json=as_json)
    return int(send and not tested.result.success)


def _read(file: IO[str]) -> "tuple[pb.Connector, list[str]]":
    """The connector that a file says, and which fields it says. Raises click.ClickException."""
    from kintsugi.v1.connector_pb2 import Connector

    from cli.json_fields import fill, read

    said = read(file)
    http = said.get("http")
    if isinstance(http, dict) and isinstance(http.get("body"), dict | list):
        http["body"] = json.dumps(http["body"], ensure_ascii=False)
    return fill(Connector(), said, file.name), list(said)


def _print(message: "Message", *, as_json: bool) -> None:
    from cli.json_fields import written
    from cli.json_lines import json_line
    from cli.terminal import printable

    click.echo(json_line(message) if as_json else printable(written(message)), nl=as_json)


def _done(connector: "pb.Connector", what: str, *, as_json: bool) -> None:
    if as_json:
        _print(connector, as_json=True)
    else:
        say(f"{_id(connector)} {what}")


def _id(connector: "pb.Connector") -> str:
    return connector.name.rpartition("/")[2]


def _risk(connector: "pb.Connector") -> str:
    from kintsugi.v1.risk_pb2 import Risk

    from cli.screen import enum_label

    return enum_label(Risk, connector.risk, "RISK_")


def _request(connector: "pb.Connector") -> str:
    return f"{connector.http.method} {connector.http.url}"
