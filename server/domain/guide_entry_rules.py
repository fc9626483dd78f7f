"""What must be true of a guide entry that a caller creates or changes, and how one is drafted.

Which fields are required, and how large they may be, is declared in the protos.
"""

from collections.abc import Iterator

from kintsugi.v1 import action_pb2, connector_pb2, exception_pb2
from kintsugi.v1 import guide_entry_pb2 as pb
from kintsugi.v1.risk_pb2 import RISK_LOW, Risk

from server.domain.action_types import ACTION_TYPES, BY_PEOPLE, FORM, is_action_type
from server.domain.errors import Violation
from server.domain.names import AutomationName, ExceptionName, RunName, WorkspaceName
from server.domain.request_template import has_free_text

_LONGEST_TITLE = 120
"""Characters of a drafted title; they have at most 480 bytes."""


def violations(automation: AutomationName, entry: pb.GuideEntry) -> list[Violation]:
    """All that is wrong, by fields of the guide entry; empty when nothing is."""
    return [
        *_exception_violations(automation.parent, entry.source_exception),
        *_run_violations(automation, entry.source_run),
        *_action_violations(entry),
    ]


def draft(exception: exception_pb2.Exception, action: action_pb2.Action) -> pb.GuideEntry | None:
    """The guide entry that a resolved exception makes: its note as the steps; none without one.

    `action` is the one that resolved it; an empty one if people did.
    """
    if not exception.resolution_note.strip():
        return None
    return pb.GuideEntry(
        title=_title(exception.message),
        source_exception=exception.name,
        source_run=exception.run,
        resolution_steps=exception.resolution_note,
        action_type=action.action_type,
        action_parameters=action.parameters,
    )


def is_other_action(one: pb.GuideEntry, other: pb.GuideEntry) -> bool:
    """Whether they don't do the same."""
    return any(
        getattr(one, field) != getattr(other, field)
        for field in ("action_type", "action_parameters", "action_risk")
    )


def unknown_action(entry: pb.GuideEntry, connector: connector_pb2.Connector | None) -> str:
    """What is wrong where nothing is known to carry out its action; empty if something is.

    `connector` is the one of the action's type, if the workspace has one.
    """
    if connector is not None or entry.action_type in ACTION_TYPES:
        return ""
    return f"is {entry.action_type}, which isn't built in, and no connector carries it out"


def why_not_standing(entry: pb.GuideEntry, connector: connector_pb2.Connector | None) -> str:
    """Why nobody may approve in advance what an entry does by itself; empty if one may."""
    if unknown := unknown_action(entry, connector):
        return f"its action_type {unknown}"
    if connector is None:
        return ""
    if connector.risk > (most := entry.action_risk or RISK_LOW):
        return (
            f"{entry.action_type} has {_label(connector.risk)} risk, and the entry allows"
            f" {_label(most)}: to let it resolve by itself, set `action_risk`"
        )
    if has_free_text(connector.http):
        return (
            f"the connector of {entry.action_type} sends the message or the extra of an exception,"
            " which is never approved in advance"
        )
    return ""


def _label(risk: Risk.ValueType) -> str:
    return Risk.Name(risk).removeprefix("RISK_")


def _title(message: str) -> str:
    """The first line of a message that says something, cut where it is long."""
    line = next((line.strip() for line in message.splitlines() if line.strip()), "")
    return line if len(line) <= _LONGEST_TITLE else f"{line[: _LONGEST_TITLE - 1].rstrip()}…"


def _action_violations(entry: pb.GuideEntry) -> Iterator[Violation]:
    if entry.action_type and not is_action_type(entry.action_type):
        yield "action_type", FORM
    if not entry.self_resolving:
        return
    if not entry.action_type:
        yield "self_resolving", "takes an `action_type`: it says what resolves it"
    if entry.action_type in BY_PEOPLE:
        yield "self_resolving", f"can't be: {entry.action_type} is done by people"
    if not entry.source_exception:
        what = "takes a `source_exception`: it says which exceptions are resolved by it"
        yield "self_resolving", what


def _exception_violations(workspace: WorkspaceName, exception: str) -> list[Violation]:
    if not exception or ExceptionName.parse(exception).parent == workspace:
        return []
    return [("source_exception", f"must be an exception of the entry's workspace, {workspace}")]


def _run_violations(automation: AutomationName, text: str) -> list[Violation]:
    if not text:
        return []
    run = RunName.parse(text)
    if AutomationName(run.organization, run.workspace, run.automation) == automation:
        return []
    return [("source_run", f"must be a run of the entry's automation, {automation}")]
