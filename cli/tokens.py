"""`kintsugi tokens …`: what is called with.

Who may do what is in `members`; `--json` prints one object a line, as REST does.
"""

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cli import names, private_file, roles, settings
from cli.importing import for_good
from cli.terminal import say
from server.domain.names import LOCAL_OWNER

if TYPE_CHECKING:
    from kintsugi.v1.access_token_pb2 import AccessToken


@click.group()
def tokens() -> None:
    """Make, list and revoke access tokens."""
    os.environ.setdefault(*settings.QUIET)


@tokens.command("list")
@click.option("--filter", "matching", default="", help="Which ones: `principal = ada`.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, one token a line.")
def list_(*, matching: str, as_json: bool) -> None:
    """List one's own tokens, or for who manages the workspace all, newest first."""
    from cli.access_client import AccessClient
    from cli.json_lines import json_line
    from cli.screen import age, print_rows

    found = AccessClient.from_environment().tokens(matching)
    if as_json:
        for token in found:
            click.echo(json_line(token))
        return
    rows = [
        (
            one.name.rpartition("/")[2],
            one.principal,
            roles.shown(one.role),
            age(one.create_time),
            age(one.last_use_time) if one.HasField("last_use_time") else "never",
            _standing(one),
            one.title,
        )
        for one in found
    ]
    print_rows(("id", "principal", "role", "age", "used", "until", "title"), rows)


@tokens.command()
@roles.role_option
@click.option("--title", required=True, help="What it is for.")
@click.option("--user", default="", help="Whose it is: a member (`members add`).  [the caller's]")
@click.option(
    "--days", type=click.IntRange(1, 36500), help="How long it is good.  [default: for ever]"
)
@click.option("--all-workspaces", is_flag=True, help="Good for all of the owner's workspaces.")
def create(*, role: str, title: str, user: str, days: int | None, all_workspaces: bool) -> None:
    """Make a token, and print it: it is shown this once."""
    from kintsugi.v1.access_token_pb2 import AccessToken

    from cli.access_client import AccessClient

    asked = AccessToken(
        principal=names.user(user),
        title=title,
        role=roles.value(role),
        all_workspaces=all_workspaces,
    )
    if days is not None:
        asked.expire_time.FromDatetime(datetime.now(UTC) + timedelta(days=days))
    made = AccessClient.from_environment().create_token(asked)
    id = made.access_token.name.rpartition("/")[2]
    if not made.token:
        raise click.ClickException(f"the answer was lost: `kintsugi tokens revoke {id}`, try again")
    say(f"token {id} of {made.access_token.principal}, {role}; it is shown this once:")
    click.echo(made.token)


@tokens.command()
@click.argument("token")
def revoke(*, token: str) -> None:
    """Make a token useless; TOKEN is its id, as the list has it."""
    from cli.access_client import AccessClient

    name = names.access_token(token)
    AccessClient.from_environment().revoke_token(name)
    say(f"token {name.rpartition('/')[2]} is revoked")


@tokens.command("print")
def print_() -> None:
    """Print the token that the client commands call with, for other programs."""
    token = settings.token()
    if not token:
        raise click.ClickException("there is no token: set KINTSUGI_TOKEN or KINTSUGI_TOKEN_FILE")
    click.echo(token)


@tokens.command()
@click.option("--database-url", envvar="KINTSUGI_DATABASE_URL", required=True, help="PostgreSQL.")
@click.option("--user", default=LOCAL_OWNER, show_default=True, help="Who becomes an owner.")
@click.option("--workspace", default=settings.DEFAULT_WORKSPACE, show_default=True)
@click.option(
    "--file", type=click.Path(path_type=Path, dir_okay=False), help="Keep it there, not printed."
)
def owner(*, database_url: str, user: str, workspace: str, file: Path | None) -> None:
    """Make an owner's token straight in the database, when there is none to call with.

    A file that has one already, and still a good one, stays as it is.
    """
    with for_good():
        from server.database import CannotRun
        from server.domain.errors import KintsugiError
        from server.owner import owner_token

    try:
        kept = file.read_text().strip() if file and file.exists() else ""
        token = owner_token(database_url, user, workspace, kept)
        if file is None:
            click.echo(token)
        elif token != kept:
            private_file.write(file, f"{token}\n")
    except (CannotRun, KintsugiError) as error:
        raise click.ClickException(str(error)) from error
    except OSError as error:
        raise click.ClickException(f"can't keep the token: {error}") from error


def _standing(token: "AccessToken") -> str:
    if token.HasField("revoke_time"):
        return "revoked"
    expires = token.expire_time.ToDatetime()
    return f"{expires:%Y-%m-%d %H:%M} UTC" if token.HasField("expire_time") else ""
