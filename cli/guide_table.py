"""How guide entries look: tables and colours on a terminal, plain columns in a pipe.

What is asked for, and where from, is not decided here; JSON is in `json_lines`.
"""

from collections.abc import Iterator, Sequence

from kintsugi.v1 import guide_entry_pb2 as pb
from kintsugi.v1 import guide_entry_service_pb2 as service
from kintsugi.v1.risk_pb2 import RISK_LOW, Risk
from rich.table import Table
from rich.text import Text

from cli import names
from cli.json_lines import json_line
from cli.screen import age, enum_label, new_console, plain, print_fields, say_more, when
from cli.terminal import printable

COLOURS = {
    "PENDING_APPROVAL": "yellow",
    "APPROVED": "green",
    "REJECTED": "red",
    "ARCHIVED": "bright_black",
}
TEXTS = ("root_cause", "resolution_steps", "resolution_code", "resolution_notes", "content")


def id_line(entry: pb.GuideEntry) -> str:
    return names.short_guide_entry(entry.name)


def print_list(pages: Sequence[service.ListGuideEntriesResponse]) -> None:
    console, table = new_console(), Table(box=None, pad_edge=False)
    for column in ("id", "state", "version", "in use", "age"):
        table.add_column(column, no_wrap=True)
    table.add_column("automation", no_wrap=True, max_width=console.width // 5)
    table.add_column("title", min_width=15)
    for entry in (one for page in pages for one in page.guide_entries):
        table.add_row(*_row(entry))
    console.print(table)
    if pages:
        say_more(pages[-1], table.row_count)


def print_details(entry: pb.GuideEntry) -> None:
    console = new_console()
    console.print(_state(entry), Text(entry.version), plain(entry.title))
    print_fields(console, _fields(entry))
    for field in TEXTS:
        if text := getattr(entry, field):
            console.print(Text(f"\n{field.replace('_', ' ')}", style="bright_black"))
            console.print(plain(text.rstrip("\n")))


def print_change(entry: pb.GuideEntry, done: str) -> None:
    """`done` may have a place for the version."""
    words = Text(done.format(entry.version), COLOURS.get(state(entry), ""))
    new_console().print(words, Text(id_line(entry)), plain(entry.title))


def action(entry: pb.GuideEntry) -> str:
    """`this lets retry_run run by itself, with LOW risk`, or that it is proposed."""
    risk = enum_label(Risk, entry.action_risk or RISK_LOW, "RISK_")
    said = json_line(entry.action_parameters) if entry.action_parameters.fields else ""
    what = f"{entry.action_type} {said}".rstrip()
    if entry.self_resolving:
        return f"this lets {what} run by itself, with {risk} risk at most"
    return f"this proposes {what}, which somebody approves each time"


def print_history(versions: Sequence[pb.GuideEntry]) -> None:
    """All versions of one entry, newest first; the newest says which one is in use."""
    table = Table(box=None, pad_edge=False)
    for column in ("version", "state", "changed", "title"):
        table.add_column(column, no_wrap=True)
    for entry in versions:
        in_use = ", in use" if entry.version == versions[0].approved_version else ""
        stood = _state(entry).append(in_use)
        table.add_row(Text(entry.version), stood, Text(when(entry.update_time)), _title(entry))
    new_console().print(table)


def state(entry: pb.GuideEntry) -> str:
    return enum_label(pb.GuideEntry.State, entry.state, "STATE_")


def _row(entry: pb.GuideEntry) -> Iterator[Text]:
    yield Text(id_line(entry))
    yield _state(entry)
    yield Text(entry.version)
    yield Text(entry.approved_version)
    yield Text(age(entry.create_time))
    yield plain(entry.automation.rpartition("/")[2])
    yield _title(entry)


def _fields(entry: pb.GuideEntry) -> Iterator[tuple[str, str]]:
    """Everything that is set and fits into a line."""
    yield "name", entry.name
    if entry.approved_version:
        yield "in use", entry.approved_version
    yield "created", when(entry.create_time)
    yield "changed", when(entry.update_time)
    if entry.HasField("delete_time"):
        yield "deleted", when(entry.delete_time)
    for label in ("source_exception", "source_run", "action_type"):
        if value := getattr(entry, label):
            yield label.replace("_", " "), value
    if entry.action_parameters.fields:
        yield "action parameters", json_line(entry.action_parameters)
    if entry.action_risk:
        yield "action risk", enum_label(Risk, entry.action_risk, "RISK_")
    if entry.self_resolving:
        yield "resolves by itself", "yes"


def _title(entry: pb.GuideEntry) -> Text:
    return Text(printable(entry.title).replace("\n", " "), no_wrap=True)


def _state(entry: pb.GuideEntry) -> Text:
    name = state(entry)
    return Text(name, style=COLOURS.get(name, ""))
