"""What tables of all kinds share: the console, other people's text, times, lists of fields.

How one kind of thing looks is in `table` and `guide_table`.
"""

import sys
import time
from collections.abc import Iterable, Sequence
from typing import Any, Protocol

import click
from google.protobuf.timestamp_pb2 import Timestamp
from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from cli.terminal import printable

UNITS = ((86400, "d"), (3600, "h"), (60, "m"), (1, "s"))
PIPE_WIDTH = 100_000
"""Columns of a pipe: lines are never wrapped or cut there."""


class Page(Protocol):
    """An answer of a List method, but for what it lists."""

    next_page_token: str
    total_size: int
    total_size_is_lower_bound: bool


def new_console() -> Console:
    return Console(width=None if sys.stdout.isatty() else PIPE_WIDTH, highlight=False)


def print_fields(console: Console, fields: Iterable[tuple[str, str]]) -> None:
    """One line a field, its label before it."""
    table = Table("label", Column("value", overflow="fold"), box=None, show_header=False)
    for label, value in fields:
        table.add_row(Text(label, style="bright_black"), plain(value))
    console.print(table)


def print_rows(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """A table of other people's texts, as wide as they are."""
    table = Table(*(Column(name, no_wrap=True) for name in columns), box=None, pad_edge=False)
    for row in rows:
        table.add_row(*map(plain, row))
    new_console().print(table)


def say_more(page: Page, shown: int) -> None:
    """Says how many there are where a list of `shown` ends with a page that has a next one."""
    if page.next_page_token:
        bound = "at least " if page.total_size_is_lower_bound else ""
        click.echo(f"{shown} of {bound}{page.total_size}; more with --limit", err=True)


def plain(text: str) -> Text:
    return Text(printable(text))


def enum_label(kind: Any, value: int, prefix: str) -> str:
    """`PENDING` for EXCEPTION_STATE_PENDING; what this program doesn't know as its number."""
    known = kind.Name(value) if value in kind.values() else str(value)
    return str(known).removeprefix(prefix)


def when(timestamp: Timestamp) -> str:
    return f"{timestamp.ToDatetime():%Y-%m-%d %H:%M:%S} UTC ({age(timestamp)} ago)"


def age(timestamp: Timestamp) -> str:
    seconds = max(0, int(time.time() - timestamp.seconds))
    size, unit = next(((size, unit) for size, unit in UNITS if seconds >= size), UNITS[-1])
    return f"{seconds // size}{unit}"
