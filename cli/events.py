"""`kintsugi events …`: what people and agents say about a run and its exceptions.

How events look is in `conversation`; `--json` prints one object a line, as REST does.
"""

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cli import names, settings, terminal

if TYPE_CHECKING:
    from kintsugi.v1 import event_pb2 as pb

    from cli.connection import Connection
    from cli.conversation import Conversation

_thread = click.argument("thread")
_agent = click.option(
    "--agent", default="", help=f"Whose thread of the run.  [default: {names.AGENT}]"
)


@dataclass(frozen=True)
class Thread:
    """A thread by its full name, and the exception in it that is meant, if one is."""

    name: str
    exception: str = ""

    @classmethod
    def find(cls, connection: "Connection", text: str, agent: str) -> "Thread":
        """From what was typed; that of an exception's run is asked for. Raises ServiceError."""
        from cli.client import Client

        if not names.is_exception(text):
            return cls(names.thread(text, agent))
        found = Client(connection).get(names.exception(text))
        return cls(names.thread(found.run, agent), found.name)


@dataclass(frozen=True)
class Reading:
    """What is to be read, and how it is shown: the options that `list` and `tail` share."""

    thread: str
    agent: str
    everything: bool
    matching: str
    full: bool
    as_json: bool

    def find(self, connection: "Connection") -> tuple[str, str]:
        """The thread, and the filter."""
        from cli.tail import both

        found = Thread.find(connection, self.thread, self.agent)
        id = found.exception.rpartition("/")[2]
        narrow = f'exception = "{id}"' if id and not self.everything else ""
        return found.name, both(self.matching, narrow)

    def show(self, conversation: "Conversation") -> "Callable[[pb.Event], None]":
        from cli.json_lines import json_line

        if self.as_json:
            return lambda event: click.echo(json_line(event))
        return conversation.show


def _reading(command: Callable[..., Any]) -> Callable[..., Any]:
    for option in (
        click.option("--json", "as_json", is_flag=True, help="JSON as REST does, one a line."),
        click.option("--full", is_flag=True, help="Show long tool calls whole."),
        click.option("--filter", "matching", default="", help="Which ones: `kind = USER_MESSAGE`."),
        click.option("--all", "everything", is_flag=True, help="Not only about the exception."),
        _agent,
        _thread,
    ):
        command = option(command)
    return command


@click.group()
def events() -> None:
    """Read, follow and write what is said about a run and its exceptions.

    THREAD is an exception (its id, `exceptions/ID` or full name), a run
    (`automations/A/runs/R`), an agent of it (`automations/A/runs/R/agents/G`), or a full name.
    """
    os.environ.setdefault(*settings.QUIET)


@events.command("list")
@click.option("--limit", default=50, show_default=True, type=click.IntRange(min=1))
@_reading
def list_(*, limit: int, **options: Any) -> None:
    """List the last events of a thread, the newest at the end."""
    from cli.connection import Connection
    from cli.conversation import Conversation
    from cli.threads import Threads

    reading, connection = Reading(**options), Connection.from_environment()
    thread, matching = reading.find(connection)
    pages = list(Threads(connection).pages(thread, limit, matching))
    found = [event for page in pages for event in page.events]
    show = reading.show(Conversation(full=reading.full))
    for event in reversed(found):
        show(event)
    if pages[-1].next_page_token:
        bound = "at least " if pages[0].total_size_is_lower_bound else ""
        hint = f"the last {len(found)} of {bound}{pages[0].total_size}; more with --limit"
        click.echo(hint, err=True)


@events.command()
@_thread
@click.argument("text", default="")
@click.option(
    "--file",
    "files",
    multiple=True,
    metavar="PATH",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Send it along; may be given several times.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the event in JSON as REST does.")
@_agent
def say(*, thread: str, text: str, files: tuple[Path, ...], as_json: bool, agent: str) -> None:
    """Add a message to a thread; TEXT `-` reads it from standard input."""
    from cli.connection import Connection
    from cli.json_lines import json_line
    from cli.message import compose
    from cli.threads import Threads

    message, connection = compose(text, files), Connection.from_environment()
    found = Thread.find(connection, thread, agent)
    event = Threads(connection).create(found.name, message, found.exception)
    click.echo(json_line(event) if as_json else event.name)


@events.command()
@click.option(
    "-n",
    "lines",
    default=10,
    show_default=True,
    type=click.IntRange(0, 1000),
    help="Begin with this many of the last events.",
)
@click.option("--from-start", is_flag=True, help="Begin with the first one.")
@click.option("--partial", is_flag=True, help="With --json: also what isn't whole yet.")
@_reading
def tail(*, lines: int, from_start: bool, partial: bool, **options: Any) -> None:
    """Follow a thread as it goes on, until Ctrl-C.

    On a terminal, what an agent is writing is shown as it is written; in a pipe, when it is
    whole. A lost connection is taken up again, and nothing is missed meanwhile.
    """
    from kintsugi.v1 import event_pb2 as pb

    from cli.connection import Connection
    from cli.conversation import Conversation
    from cli.tail import Beginning
    from cli.threads import Threads

    reading, connection = Reading(**options), Connection.from_environment()
    thread, matching = reading.find(connection)
    threads = Threads(connection)
    if from_start:
        beginning = Beginning(matching)
    else:
        beginning = Beginning.of(threads, thread, matching, lines)
    conversation = Conversation(full=reading.full, growing=sys.stdout.isatty())
    show = reading.show(conversation)

    def tell(text: str) -> None:
        conversation.end_line()
        terminal.say(text)

    for message in threads.follow(thread, beginning.matching, tell=tell):
        if message is None or not message.HasField("event"):
            continue
        whole = message.event.state != pb.Event.STATE_STREAMING
        if beginning.includes(message.event) and (whole or partial or not reading.as_json):
            show(message.event)
