"""How this program speaks in a terminal: its own lines, and other people's text made harmless.

Tables are not here.
"""

import contextlib
import os
import re
import shlex
import shutil
import sys
from typing import TYPE_CHECKING

import click

from cli import names, settings

if TYPE_CHECKING:
    from google.protobuf.timestamp_pb2 import Timestamp

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
"""What acts on the terminal, or turns the direction of the text around it."""


def say(text: str) -> None:
    """Lines of our own, on stderr with a prefix; a closed stderr is no error."""
    with contextlib.suppress(OSError):
        for line in printable(text).splitlines():
            click.echo(f"{click.style('kintsugi:', dim=True)} {line}", err=True)


def printable(text: str) -> str:
    """The text with control characters spelled out, so that none of them acts on the terminal."""
    return _CONTROL.sub(lambda found: _spelled_out(found[0]), text.replace("\r\n", "\n"))


def _spelled_out(character: str) -> str:
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


class Clock:
    """Times of day in UTC, with a line of its own for each new day."""

    def __init__(self) -> None:
        self._day = ""

    def time(self, timestamp: "Timestamp") -> str:
        """`12:05:09`; the day is printed first where it isn't that of the line before."""
        moment = timestamp.ToDatetime()
        day = f"{moment:%Y-%m-%d} (UTC)"
        if day != self._day:
            self._day = day
            click.echo(click.style(day, dim=True))
        return f"{moment:%H:%M:%S}"


def command_line(*words: str, server: str = "", token_file: str = "") -> str:
    """What to type to run this very program with these words, on `server` or the one in use.

    `token_file` is where it finds its token, if not where this one does.
    """
    program = "kintsugi" if shutil.which("kintsugi") == sys.argv[0] else sys.argv[0]
    address = server or str(settings.server())
    prefix = "" if address == settings.DEFAULT_SERVER else f"KINTSUGI_SERVER={address} "
    if token_file := token_file or os.environ.get(settings.TOKEN_FILE, ""):
        prefix += f"{settings.TOKEN_FILE}={shlex.quote(token_file)} "
    return prefix + shlex.join([program, *words])


def look_command(name: str) -> str:
    return command_line("sessions", "start", names.short(name), "--watch")


def resolve_command(name: str) -> str:
    return command_line("exceptions", "resolve", names.short(name))
