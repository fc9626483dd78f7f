"""How agent sessions and their actions look: tables and colours on a terminal, columns in a pipe.

What is asked for, and where from, is not decided here; JSON is in `json_lines`.
"""

from collections.abc import Iterator, Sequence

from kintsugi.v1 import action_pb2
from kintsugi.v1 import agent_session_pb2 as pb
from kintsugi.v1 import agent_session_service_pb2 as service
from kintsugi.v1.risk_pb2 import Risk
from rich.console import Console
from rich.table import Table
from rich.text import Text

from cli import names
from cli.json_lines import json_line
from cli.screen import age, enum_label, new_console, plain, print_fields, say_more, when
from cli.terminal import printable

COLOURS = {
    "AWAITING_CONFIRMATION": "yellow",
    "EXECUTING": "blue",
    "COMPLETED": "green",
    "FAILED": "red",
    "CANCELLED": "bright_black",
    "EXPIRED": "bright_black",
    "ACTIVE": "blue",
    "ENDED": "bright_black",
    "PROPOSED": "yellow",
    "SUCCEEDED": "green",
    "UNKNOWN": "red",
}
RISK_COLOURS = {"LOW": "green", "MEDIUM": "yellow", "HIGH": "red", "CRITICAL": "bold red"}


def id_line(session: pb.AgentSession) -> str:
    return names.short_agent_session(session.name)


def print_list(pages: Sequence[service.ListAgentSessionsResponse]) -> None:
    console, table = new_console(), Table(box=None, pad_edge=False)
    for column in ("#", "id", "state", "age"):
        table.add_column(column, no_wrap=True)
    table.add_column("automation", no_wrap=True, max_width=console.width // 5)
    table.add_column("about", min_width=15)
    for session in (one for page in pages for one in page.agent_sessions):
        table.add_row(*_row(session))
    console.print(table)
    if pages:
        say_more(pages[-1], table.row_count)


def print_details(session: pb.AgentSession) -> None:
    console = new_console()
    console.print(Text(f"#{session.number} "), _state(state(session)), Text(id_line(session)))
    print_fields(console, _fields(session))
    if session.analysis.summary:
        console.print(Text("\nanalysis", style="bright_black"))
        console.print(plain(session.analysis.summary.rstrip("\n")))
    if session.actions:
        console.print(Text("\nactions", style="bright_black"))
        print_actions(session, session.actions)


def print_change(session: pb.AgentSession, done: str) -> None:
    words = Text.assemble(f"#{session.number} ", (done, COLOURS.get(state(session), "")))
    new_console().print(words, Text(id_line(session)))


def print_actions(session: pb.AgentSession, shown: Sequence[action_pb2.Action]) -> None:
    """A table of some actions of a session by their numbers in it, and below it what each one that
    can be approved does."""
    console, table = new_console(), Table(box=None, pad_edge=False)
    for column in ("action", "type", "risk", "state", "by", "system"):
        table.add_column(column, no_wrap=True)
    table.add_column("what", min_width=15)
    numbered = [each for each in enumerate(session.actions, 1) if each[1] in shown]
    for number, action in numbered:
        table.add_row(*_action_row(number, action))
    console.print(table)
    for number, action in numbered:
        if action.state == action_pb2.Action.STATE_PROPOSED:
            _print_proposal(console, number, action)


def state(session: pb.AgentSession) -> str:
    return enum_label(pb.AgentSession.State, session.state, "STATE_")


def action_state(action: action_pb2.Action) -> str:
    return enum_label(action_pb2.Action.State, action.state, "STATE_")


def _row(session: pb.AgentSession) -> Iterator[Text]:
    yield Text(str(session.number), justify="right")
    yield Text(id_line(session))
    yield _state(state(session))
    yield Text(age(session.create_time))
    yield plain(session.automation.rpartition("/")[2])
    yield plain(session.title or names.short(session.exception) or session.signal.title)


def _fields(session: pb.AgentSession) -> Iterator[tuple[str, str]]:
    """Everything that is set and fits into a line."""
    yield "name", session.name
    if session.title:
        yield "title", session.title
    if session.exception:
        yield "exception", names.short(session.exception)
    if session.signal.title:
        yield "signal", session.signal.title
    yield "thread", session.thread
    yield "agent", session.agent
    yield "started", f"{when(session.create_time)} by {session.creator}"
    if session.HasField("expire_time"):
        yield "expires", f"{session.expire_time.ToDatetime():%Y-%m-%d %H:%M:%S} UTC"
    if session.HasField("end_time"):
        yield "ended", when(session.end_time)
    if session.summary:
        yield "summary", session.summary
    if session.error:
        yield "error", session.error
    yield from _found_out(session.analysis)


def _found_out(analysis: pb.Analysis) -> Iterator[tuple[str, str]]:
    for label in ("root_cause", "impact", "lifecycle_context", "pattern_description"):
        if value := getattr(analysis, label):
            yield label.replace("_", " "), value
    if analysis.affected_systems:
        yield "affects", ", ".join(analysis.affected_systems)
    if analysis.root_cause:
        yield "confidence", f"{analysis.confidence:.0%}"


def _action_row(number: int, action: action_pb2.Action) -> Iterator[Text]:
    risk = enum_label(Risk, action.risk, "RISK_")
    approver = f" by {action.approver}" if action.approver else ""
    yield Text(str(number))
    yield plain(action.action_type)
    yield Text(risk, style=RISK_COLOURS.get(risk, ""))
    yield _state(action_state(action)).append(printable(approver))
    yield Text("itself" if action.automated else "people")
    yield plain(action.target_system)
    yield plain(action.state_reason or action.result.error or action.description)


def _print_proposal(console: Console, number: int, action: action_pb2.Action) -> None:
    """What exactly is approved with it."""
    for line in _request(action) if action.HasField("request") else _steps(action):
        console.print(Text(f"  {number}: ", style="bright_black"), plain(line), sep="")


def _request(action: action_pb2.Action) -> Iterator[str]:
    """All of what is sent but the secret, by which connector."""
    request = action.request
    yield f"sends {request.method} {request.url}"
    for name, value in sorted(request.headers.items()):
        yield f"{name}: {value}"
    if request.body:
        yield request.body
    id = action.connector.rpartition("/")[2]
    yield f"by the connector {id}, revision {action.connector_revision}"


def _steps(action: action_pb2.Action) -> Iterator[str]:
    for step in action.steps:
        yield f"{step.description} {step.api_call}".rstrip()
    if action.parameters.fields:
        yield f"with {json_line(action.parameters)}"


def _state(name: str) -> Text:
    return Text(name, style=COLOURS.get(name, ""))
