"""`kintsugi members …`: who may do what in the workspace.

What they call with is in `tokens`; `--json` prints one object a line, as REST does.
"""

import os

import click

from cli import names, roles, settings
from cli.terminal import say

_member = click.argument("member")
_title = click.option("--title", default="", help="What people read: `Ada Lovelace`.")


@click.group()
def members() -> None:
    """Say who may do what in the workspace.

    MEMBER is the id of a user: `ada` for `users/ada`.
    """
    os.environ.setdefault(*settings.QUIET)


@members.command("list")
@click.option("--filter", "matching", default="", help="Which ones: `role = ADMIN`.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, one member a line.")
def list_(*, matching: str, as_json: bool) -> None:
    """List the members, newest first."""
    from cli.access_client import AccessClient
    from cli.json_lines import json_line
    from cli.screen import age, print_rows

    found = AccessClient.from_environment().members(matching)
    if as_json:
        for member in found:
            click.echo(json_line(member))
        return
    rows = [
        (one.principal, roles.shown(one.role), age(one.create_time), one.title) for one in found
    ]
    print_rows(("member", "role", "age", "title"), rows)


@members.command()
@_member
@roles.role_option
@_title
def add(*, member: str, role: str, title: str) -> None:
    """Make a user a member."""
    from kintsugi.v1.member_pb2 import Member

    from cli.access_client import AccessClient

    id = names.member(member).rpartition("/")[2]
    added = AccessClient.from_environment().add_member(
        id, Member(role=roles.value(role), title=title)
    )
    say(f"{added.principal} is a member: {role}")


@members.command("set")
@_member
@roles.role_option
def set_(*, member: str, role: str) -> None:
    """Give a member another role."""
    from kintsugi.v1.member_pb2 import Member

    from cli.access_client import AccessClient

    asked = Member(name=names.member(member), role=roles.value(role))
    changed = AccessClient.from_environment().change_member(asked, "role")
    say(f"{changed.principal} is {role} now")


@members.command()
@_member
def remove(*, member: str) -> None:
    """Remove a member; their tokens are of no use here any more."""
    from cli.access_client import AccessClient

    name = names.member(member)
    AccessClient.from_environment().remove_member(name)
    say(f"users/{name.rpartition('/')[2]} is no member any more")
