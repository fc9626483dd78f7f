"""`kintsugi sessions …`: agents that work out what happened, and what they may do about it.

How they look is in `session_table`; `--json` prints one object a line, as REST does.
"""

import os
from typing import TYPE_CHECKING

import click

from cli import names, settings

if TYPE_CHECKING:
    from kintsugi.v1 import agent_session_pb2 as pb

_session = click.argument("session")
_actions = click.argument("actions", nargs=-1, metavar="[ACTION]...")
_as_json = click.option(
    "--json", "as_json", is_flag=True, help="Print JSON as REST does, one session a line."
)


@click.group()
def sessions() -> None:
    """Have agents look into exceptions, and say what they may do.

    SESSION is an id, `agentSessions/ID` or a full name; or an exception: its newest one that is no
    chat.
    ACTION is its number, as `sessions show` has it, its id or its full name.
    """
    os.environ.setdefault(*settings.QUIET)


@sessions.command("list")
@click.option("--limit", default=50, show_default=True, type=click.IntRange(min=1))
@click.option("--filter", "matching", default="", help="`state = AWAITING_CONFIRMATION`.")
@click.option("--order-by", default="", help="Default: newest first.")
@click.option("--ids", is_flag=True, help="Print ids alone, for other commands.")
@_as_json
def list_(*, limit: int, matching: str, order_by: str, ids: bool, as_json: bool) -> None:
    """List sessions, newest first."""
    from cli import session_table
    from cli.json_lines import json_line
    from cli.session_client import SessionClient

    pages = SessionClient.from_environment().pages(limit, matching, order_by)
    if ids or as_json:
        line = json_line if as_json else session_table.id_line
        for page in pages:
            for session in page.agent_sessions:
                click.echo(line(session))
    else:
        session_table.print_list(list(pages))


@sessions.command()
@click.argument("exception")
@click.option("--watch", "is_watched", is_flag=True, help="Watch it, or the one there is.")
@_as_json
def start(*, exception: str, is_watched: bool, as_json: bool) -> int:
    """Have an agent look into an exception."""
    from cli.session_client import SessionClient

    client, name = SessionClient.from_environment(), names.exception(exception)
    if is_watched:
        return _watch(client.started(name))
    session = client.start(name)
    _print(session, "started", as_json=as_json)
    return 0


@sessions.command()
@_session
@_as_json
def show(*, session: str, as_json: bool) -> None:
    """Show what was found out, and the actions."""
    from cli import session_table
    from cli.json_lines import json_line
    from cli.session_client import SessionClient

    found = SessionClient.from_environment().find(session)
    if as_json:
        click.echo(json_line(found))
    else:
        session_table.print_details(found)


@sessions.command()
@click.argument("session", default="")
def watch(*, session: str) -> int:
    """Watch a session to its end; the newest one without SESSION.

    In a terminal, it asks there for what is to be approved. Ctrl-C ends the watching alone.
    Exit code: 0 if it is COMPLETED, else 1.
    """
    from cli.session_client import SessionClient

    return _watch(SessionClient.from_environment().find(session))


@sessions.command()
@_session
@_actions
@click.option("--note", default="", help="What was done besides, for the next time.")
@_as_json
def approve(*, session: str, actions: tuple[str, ...], note: str, as_json: bool) -> None:
    """Approve actions and have them executed; without ACTION, the only one that can be."""
    from cli import session_table
    from cli.choosing import chosen
    from cli.session_client import SessionClient

    client = SessionClient.from_environment()
    found = client.find(session)
    approved = chosen(found, actions, "approve")
    if not as_json:
        session_table.print_actions(found, approved)
    _print(client.approve(found, approved, note), "approved", as_json=as_json)


@sessions.command()
@_session
@_actions
@click.option("--reason", default="", help="Why.")
@_as_json
def reject(*, session: str, actions: tuple[str, ...], reason: str, as_json: bool) -> None:
    """Reject actions; without ACTION, all that are proposed."""
    from cli.choosing import chosen
    from cli.session_client import SessionClient

    client = SessionClient.from_environment()
    found = client.find(session)
    rejected = client.reject(found, chosen(found, actions, "reject"), reason)
    _print(rejected, "rejected", as_json=as_json)


@sessions.command()
@_session
@click.option("--reason", default="", help="Why.")
@_as_json
def cancel(*, session: str, reason: str, as_json: bool) -> None:
    """Stop a session; what has left already ends as it ends."""
    from cli.session_client import SessionClient

    client = SessionClient.from_environment()
    _print(client.cancel(client.find(session), reason), "cancelled", as_json=as_json)


@sessions.command()
@click.argument("session", default="")
@click.option("--title", default="", help="What the new chat is called.")
def chat(*, session: str, title: str) -> None:
    """Ask an agent what is typed, line by line; in a new chat without SESSION.

    Ctrl-D leaves it; it can be gone on with until a day after the last message.
    """
    from cli.chat import talk
    from cli.connection import Connection
    from cli.session_client import SessionClient
    from cli.session_table import id_line
    from cli.terminal import command_line, say

    connection = Connection.from_environment()
    client = SessionClient(connection)
    found = client.find_chat(session) if session else client.begin_chat(title)
    talk(connection, found)
    id = id_line(found)
    say(f"to go on: {command_line('sessions', 'chat', id)}")
    say(f"to end it: {command_line('sessions', 'end', id)}")


@sessions.command()
@_session
@click.option("--summary", default="", help="What came of it.")
@_as_json
def end(*, session: str, summary: str, as_json: bool) -> None:
    """End a chat."""
    from cli.session_client import SessionClient

    client = SessionClient.from_environment()
    _print(client.end(client.find_chat(session), summary), "ended", as_json=as_json)


def _watch(session: "pb.AgentSession") -> int:
    from kintsugi.v1.agent_session_pb2 import AgentSession

    from cli import session_table
    from cli.connection import Connection
    from cli.session_watch import Watch

    ended = Watch(Connection.from_environment(), session).run()
    session_table.print_change(ended, session_table.state(ended))
    return 0 if ended.state == AgentSession.STATE_COMPLETED else 1


def _print(session: "pb.AgentSession", done: str, *, as_json: bool) -> None:
    from cli import session_table
    from cli.json_lines import json_line

    if as_json:
        click.echo(json_line(session))
    else:
        session_table.print_change(session, done)
