"""How events read in a terminal: who said what, and when, the newest last.

What is asked for, and where from, is not decided here.
"""

from collections.abc import Iterator

import click
from kintsugi.v1 import event_pb2 as pb

from cli.terminal import Clock, printable

COLOURS = {"system": "bright_black", "tool": "blue"}
USER_COLOUR, AGENT_COLOUR = "cyan", "magenta"
MARGIN, WHO = 10, 8
"""Columns of the time, and of whoever has a short name, each with what follows it."""

FIRST_LINES, LAST_LINES, LINE = 3, 7, 300
"""What is shown of a long tool call: lines, and characters of each."""

GROWING = ("agent_message", "thinking", "completion_response", "system_message")
"""What is shown while it is being generated: tool calls are shortened, and so must be whole."""


def who(event: pb.Event) -> str:
    """Who is heard: the id of a user or an agent, `system` or `tool`."""
    match event.WhichOneof("event_data"):
        case "user_message":
            return printable(event.user_message.user.removeprefix("users/"))
        case "system_message" | None:
            return "system"
        case "tool_call_result":
            return "tool"
    _, of_run, rest = event.name.partition("/agents/")
    return printable(rest.partition("/")[0]) if of_run else "agent"


def text(event: pb.Event, *, full: bool = False) -> str:
    """What is said, harmless for a terminal and without an end of line; tool calls shortened."""
    kind = event.WhichOneof("event_data")
    said = printable("\n".join(filter(None, _parts(event)))).rstrip()
    return said if full or kind not in ("tool_call_request", "tool_call_result") else _short(said)


class Conversation:
    """Prints events one below the other as they come.

    One that is still being generated may come again and again: only what is new of it is printed,
    so that it grows where it stands. Where `growing` is off, it is printed when it is whole.
    """

    def __init__(self, *, full: bool = False, growing: bool = False) -> None:
        self._full = full
        self._growing = growing
        self._clock = Clock()
        self._printed: dict[str, str] = {}
        self._unended = ""

    def show(self, event: pb.Event) -> None:
        whole = event.state != pb.Event.STATE_STREAMING
        if not whole and not self._shows_growth(event):
            return
        said, before = text(event, full=self._full), self._printed.pop(event.name, "")
        if event.name != self._unended or not said.startswith(before):
            self.end_line()
            self._begin(event)
            before = before if said.startswith(before) else ""
            click.echo("… " if before else "", nl=False)
        indent = "\n" + " " * (MARGIN + WHO + 2)
        click.echo(said[len(before) :].replace("\n", indent), nl=whole)
        self._unended = "" if whole else event.name
        if not whole:
            self._printed[event.name] = said

    def end_line(self) -> None:
        """Ends a line that may still have grown, so that something else can be said."""
        if self._unended:
            click.echo()
        self._unended = ""

    def _shows_growth(self, event: pb.Event) -> bool:
        return self._growing and (self._full or event.WhichOneof("event_data") in GROWING)

    def _begin(self, event: pb.Event) -> None:
        kind, name = event.WhichOneof("event_data"), who(event)
        colour = USER_COLOUR if kind == "user_message" else COLOURS.get(name, AGENT_COLOUR)
        time = click.style(self._clock.time(event.create_time), dim=True)
        click.echo(f"{time}  {click.style(f'{name:<{WHO}}', fg=colour)}  ", nl=False)


def _parts(event: pb.Event) -> Iterator[str]:
    match event.WhichOneof("event_data"):
        case "user_message":
            yield event.user_message.content
            yield from map(_item, event.user_message.content_list.items)
        case "agent_message":
            yield event.agent_message.content
        case "tool_call_request":
            request = event.tool_call_request
            yield f"calls {request.display_name or request.tool_call_id}: {request.input}"
        case "tool_call_result":
            yield event.tool_call_result.result
        case "thinking":
            yield f"(thinking) {event.thinking.content}"
        case "system_message":
            yield event.system_message.content
        case "completion_response":
            yield event.completion_response.content
            error = event.completion_response.error
            yield error and f"failed: {error}"
        case _:
            yield "(something that this version of kintsugi doesn't know)"


def _item(item: pb.InputContent) -> str:
    if not item.HasField("file"):
        return item.text
    if item.file.HasField("inline"):
        file = item.file.inline
        return (
            f"[file {file.filename or 'without a name'}: {file.mime_type}, {_size(file.content)}]"
        )
    return f"[file {item.file.remote}]"


def _size(content: bytes) -> str:
    return f"{len(content) / 1024:.1f} KiB" if len(content) >= 1024 else f"{len(content)} bytes"


def _short(said: str) -> str:
    """The first and the last lines, where something between them is left out."""
    lines = said.split("\n")
    left_out = len(lines) - FIRST_LINES - LAST_LINES
    if left_out > 1:
        note = f"… {left_out} lines left out: --full shows them …"
        lines = [*lines[:FIRST_LINES], note, *lines[-LAST_LINES:]]
    return "\n".join(line if len(line) <= LINE else f"{line[:LINE]} …" for line in lines)
