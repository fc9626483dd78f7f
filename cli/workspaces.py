"""`kintsugi workspaces …`: where the exceptions of a team live, and which features it has.

Who may do what in one is in `members`; `--json` prints one object a line, as REST does.
"""

import os
from typing import TYPE_CHECKING

import click

from cli import names, settings
from cli.terminal import say

if TYPE_CHECKING:
    from kintsugi.v1.workspace_pb2 import Workspace

_workspace = click.argument("workspace")
_as_json = click.option(
    "--json", "as_json", is_flag=True, help="Print JSON as REST does, one workspace a line."
)


@click.group()
def workspaces() -> None:
    """List, make and change workspaces; KINTSUGI_WORKSPACE says which one is in use.

    WORKSPACE is an id, in the organization of the one in use, or a full name.
    """
    os.environ.setdefault(*settings.QUIET)


@workspaces.command("list")
@_as_json
def list_(*, as_json: bool) -> None:
    """List one's workspaces in the organization, newest first."""
    from cli.json_lines import json_line
    from cli.screen import age, print_rows
    from cli.workspace_client import WorkspaceClient

    found = WorkspaceClient.from_environment().all()
    if as_json:
        for workspace in found:
            click.echo(json_line(workspace))
        return
    rows = [(one.name, _features(one), age(one.create_time), one.title) for one in found]
    print_rows(("workspace", "features", "age", "title"), rows)


@workspaces.command()
@click.argument("workspace", default="")
@_as_json
def show(*, workspace: str, as_json: bool) -> None:
    """Show a workspace; without a name, the one in use."""
    from cli.json_lines import json_line
    from cli.screen import new_console, print_fields, when
    from cli.workspace_client import WorkspaceClient

    found = WorkspaceClient.from_environment().get(names.workspace(workspace))
    if as_json:
        click.echo(json_line(found))
        return
    fields = {"name": found.name, "title": found.title, "features": _features(found)}
    times = {"created": when(found.create_time), "changed": when(found.update_time)}
    print_fields(new_console(), (fields | {"uid": found.uid} | times).items())


@workspaces.command()
@_workspace
@click.option("--title", default="", help="What people read: `Billing`.")
def create(*, workspace: str, title: str) -> None:
    """Make a workspace, and oneself its owner."""
    from kintsugi.v1.workspace_pb2 import Workspace

    from cli.workspace_client import WorkspaceClient

    name = names.workspace(workspace)
    made = WorkspaceClient.from_environment().create(name, Workspace(title=title))
    say(f"it is there, and in use with KINTSUGI_WORKSPACE={made.name}")


@workspaces.command("set")
@_workspace
@click.option("--title", help="What people read: `Billing`.")
@click.option("--features", help="All that are on, with commas: `agent_ai`, or '' for none.")
def set_(*, workspace: str, title: str | None, features: str | None) -> None:
    """Change the title or the features; without `agent_ai` no agent analyses or acts."""
    from kintsugi.v1.workspace_pb2 import Workspace

    from cli.workspace_client import WorkspaceClient

    given = {"title": title, "features": features}
    changed = [field for field, value in given.items() if value is not None]
    if not changed:
        raise click.UsageError("There is nothing to change: give --title or --features.")
    asked = Workspace(name=names.workspace(workspace), title=title or "")
    asked.features.extend(filter(None, (features or "").split(",")))
    now = WorkspaceClient.from_environment().change(asked, *changed)
    say(f"{now.name} is {now.title!r} now, with {_features(now) or 'no features'}")


def _features(workspace: "Workspace") -> str:
    return ",".join(workspace.features)
