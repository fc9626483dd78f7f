"""How exceptions look: tables and colours on a terminal, plain columns in a pipe.

What is asked for, and where from, is not decided here; JSON is in `json_lines`.
"""

from collections.abc import Iterator, Sequence

from kintsugi.v1 import exception_pb2 as pb
from kintsugi.v1 import exception_service_pb2 as service
from rich.table import Table
from rich.text import Text

from cli import names
from cli.screen import age, enum_label, new_console, plain, print_fields, say_more, when
from cli.terminal import printable

COLOURS = {"PENDING": "yellow", "RESOLVED": "green", "ARCHIVED": "bright_black"}


def id_line(exception: pb.Exception) -> str:
    return names.short(exception.name)


def print_list(pages: Sequence[service.ListExceptionsResponse]) -> None:
    console, table = new_console(), Table(box=None, pad_edge=False)
    for column in ("#", "id", "state", "age"):
        table.add_column(column, no_wrap=True)
    table.add_column("automation", no_wrap=True, max_width=console.width // 5)
    table.add_column("message", min_width=15)
    for exception in (one for page in pages for one in page.exceptions):
        table.add_row(*_row(exception))
    console.print(table)
    if pages:
        say_more(pages[-1], table.row_count)


def print_details(exception: pb.Exception) -> None:
    console = new_console()
    console.print(Text(f"#{exception.number} "), _state(exception), plain(exception.message))
    print_fields(console, _fields(exception))
    if "output" in exception.extra:
        console.print(Text("output", style="bright_black"))
        console.print(plain(exception.extra["output"].rstrip("\n")))


def print_change(exception: pb.Exception, done: str) -> None:
    words = Text.assemble(f"#{exception.number} ", (done, COLOURS.get(state(exception), "")))
    new_console().print(words, Text(id_line(exception)), plain(exception.message))


def state(exception: pb.Exception) -> str:
    return enum_label(pb.ExceptionState, exception.state, "EXCEPTION_STATE_")


def _row(exception: pb.Exception) -> Iterator[Text]:
    yield Text(str(exception.number), justify="right")
    yield Text(id_line(exception))
    yield _state(exception)
    yield Text(age(exception.create_time))
    yield plain(exception.automation.rpartition("/")[2])
    times = f"{exception.occurrence_count}x " if exception.occurrence_count > 1 else ""
    yield Text(times + printable(exception.message).replace("\n", " "), no_wrap=True)


def _fields(exception: pb.Exception) -> Iterator[tuple[str, str]]:
    """Everything readable that is set, but the message and the output."""
    location = exception.location
    yield "name", exception.name
    yield "run", exception.run
    if exception.execution_id:
        yield "execution", exception.execution_id
    yield "raised", when(exception.create_time)
    if exception.occurrence_count > 1:
        last = when(exception.last_occurrence_time)
        yield "occurrences", f"{exception.occurrence_count}, last {last}"
    yield "changed", when(exception.update_time)
    yield "location", f"bytes {location.start_byte} to {location.end_byte}"
    if exception.stage:
        yield "stage", str(exception.stage)
    for label in ("group", "assignee", "resolver", "resolution_note", "resolution_guide_entry"):
        if value := getattr(exception, label):
            yield label.replace("_", " "), value
    if exception.description:
        yield "description", exception.description
    for key in sorted(exception.extra):
        if key != "output":
            yield key, exception.extra[key]


def _state(exception: pb.Exception) -> Text:
    name = state(exception)
    return Text(name, style=COLOURS.get(name, ""))
