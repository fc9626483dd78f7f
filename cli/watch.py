"""`kintsugi exceptions watch`: what happens to exceptions, as it happens.

The connection, and how it is taken up again, is in `following`.
"""

import shutil
import sys
from typing import TYPE_CHECKING

import click

from cli.terminal import Clock, printable, say

if TYPE_CHECKING:
    from google.protobuf.timestamp_pb2 import Timestamp
    from kintsugi.v1 import exception_pb2 as pb
    from kintsugi.v1 import exception_service_pb2 as service

GAP = "  "
CHANGES = {1: ("added", "green"), 2: ("changed", "yellow"), 3: ("gone", "bright_black")}
"""How WatchExceptionsResponse.Change reads: what began to match, matches still, does no more."""


@click.command()
@click.option("--filter", "matching", default="", help="Which ones: `state = PENDING`.")
@click.option("--after", default="", metavar="CURSOR", help="Go on after this one; default: now.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON as REST does, one change a line.")
def watch(*, matching: str, after: str, as_json: bool) -> None:
    """Follow what happens to exceptions, until Ctrl-C.

    An exception is `added` when it is new, or begins to match the filter, `changed` while it
    matches, and `gone` when it matches no more. A lost connection is taken up again, and nothing
    is missed meanwhile. But by `update_time` or `last_occurrence_time` no exception is `gone` for
    having been raised again, nor `added`.
    """
    from cli.client import Client
    from cli.json_lines import json_line

    clock, begun = Clock(), False
    for message in Client.from_environment().watch(matching, after):
        if message is not None and not begun:
            say("watching; Ctrl-C ends it")
            begun = True
        if message is None or not message.HasField("exception"):
            continue
        if as_json:
            click.echo(json_line(message))
        else:
            click.echo(_line(message, clock))


def _line(message: "service.WatchExceptionsResponse", clock: Clock) -> str:
    from cli import table

    exception, state = message.exception, table.state(message.exception)
    change, colour = CHANGES.get(message.change, (str(message.change), ""))
    automation = printable(exception.automation.rpartition("/")[2])
    words = [
        (clock.time(_moment(exception)), ""),
        (f"#{exception.number:<5}", ""),
        (f"{change:<7}", colour),
        (f"{state:<8}", table.COLOURS.get(state, "")),
        (automation, ""),
    ]
    used = sum(len(word) + len(GAP) for word, _ in words)
    text = _fitting(printable(exception.message).replace("\n", " "), used)
    return GAP.join([*(click.style(word, fg=colour or None) for word, colour in words), text])


def _moment(exception: "pb.Exception") -> "Timestamp":
    """When the change was: a further occurrence has a time of its own."""
    times = exception.update_time, exception.last_occurrence_time
    return max(times, key=lambda time: (time.seconds, time.nanos))


def _fitting(text: str, used: int) -> str:
    """As much of the text as stands on the rest of a terminal's line; in a pipe, all of it."""
    room = shutil.get_terminal_size().columns - used
    if not sys.stdout.isatty() or len(text) <= room:
        return text
    return text[: max(room - 1, 0)] + "…"
