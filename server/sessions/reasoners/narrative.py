"""An analysis in words for people: cause, impact, where in its life, and all of it together.

What is true is decided elsewhere; here it is said.
"""

from collections.abc import Iterable, Sequence

from kintsugi.v1 import agent_session_pb2 as pb
from kintsugi.v1 import exception_pb2
from kintsugi.v1.automation_stage_pb2 import (
    AUTOMATION_STAGE_DRAFT,
    AUTOMATION_STAGE_PUBLISHED,
)

from server.domain.failure_kinds import kind_of
from server.domain.names import RunName
from server.sessions.reasoners.choice import Candidate, title, workflow
from server.sessions.reasoners.findings import Guide, Past, Pattern

_STAGES = {
    AUTOMATION_STAGE_DRAFT: " in its draft stage, so nothing is touched that counts",
    AUTOMATION_STAGE_PUBLISHED: ", which is published and runs for real",
}
_OUTCOMES = {
    pb.Analysis.OUTCOME_RESOLVED: "Nothing is to be done.",
    pb.Analysis.OUTCOME_WORKFLOW_SELECTED: "Something is known to help.",
    pb.Analysis.OUTCOME_NO_WORKFLOW: "The cause is known, but nothing that helps.",
    pb.Analysis.OUTCOME_INCONCLUSIVE: "Too little is known; a person has to look into it.",
}

_NOT_SURE = "Nothing that is known fits for sure. The nearest, with how sure each is to help:"
_NOTHING_KNOWN = (
    "I know nothing about that: no guide entry in use and no past resolution reads like it."
)


def root_cause(message: str, best: Candidate | None) -> str:
    """That of the guide entry; without one, the kind of failure, or that nothing is known."""
    if isinstance(best, Guide) and best.root_cause:
        return best.root_cause
    kind = kind_of(message)
    if kind is None:
        return "Not known: nothing like it was explained before."
    known = "Not known for certain." if best is None else "Not written down."
    return f"{known} {kind.meaning}"


def impact(
    session: pb.AgentSession, exception: exception_pb2.Exception | None, pattern: Pattern
) -> str:
    """What stands still, and what else waits for the same reason."""
    others = f" {_others(pattern.pending)}" if pattern.pending else ""
    if exception is None:
        severity = f", of severity {session.signal.severity}" if session.signal.severity else ""
        return f"“{session.signal.title}” was signalled{severity}; no run is known to wait.{others}"
    run = RunName.parse(exception.run)
    stage = _STAGES.get(exception.stage, "")
    stopped = f"Run {run.run} of {run.automation} has stopped{stage}"
    return f"{stopped}; it can't go on before this is resolved.{others}"


def _others(pending: int) -> str:
    return (
        "Another one with the same failure is pending."
        if pending == 1
        else f"{pending} others with the same failure are pending."
    )


def lifecycle(session: pb.AgentSession, exception: exception_pb2.Exception | None) -> str:
    """`Raised in run 7 of invoices, at bytes 120 to 164: … → raised → (analysed) → resolved → …`"""
    if exception is None:
        return f"Signalled → (analysed) → closed; it belongs to no run: {session.signal.title}"
    run, place = RunName.parse(exception.run), exception.location
    at = f" at bytes {place.start_byte} to {place.end_byte}" if place.end_byte else ""
    stage = {
        AUTOMATION_STAGE_DRAFT: "draft",
        AUTOMATION_STAGE_PUBLISHED: "published",
    }.get(exception.stage, "of unknown stage")
    again = f", {exception.occurrence_count} times by now" if exception.occurrence_count > 1 else ""
    return (
        f"Automation {run.automation} ({stage}) → run {run.run} → broken off{at}{again}"
        " → (analysed) → resolved → the run goes on"
    )


def summary(analysis: pb.Analysis) -> str:
    """The analysis in CommonMark."""
    pattern = analysis.pattern_description
    parts = [
        f"**{_OUTCOMES[analysis.investigation_outcome]}** (confidence {analysis.confidence:.2f})",
        f"**Root cause:** {analysis.root_cause}",
        f"**Impact:** {analysis.impact}" if analysis.impact else "",
        f"**Systemic:** {pattern}." if pattern else "",
        _selected(analysis),
        _alternatives(analysis),
    ]
    return "\n\n".join(part for part in parts if part)


def _selected(analysis: pb.Analysis) -> str:
    if not analysis.HasField("selected_workflow"):
        return ""
    selected = analysis.selected_workflow
    return f"**What helps:** {selected.title} (`{selected.workflow}`): {selected.rationale}."


def _alternatives(analysis: pb.Analysis) -> str:
    listed = _listed(analysis.alternative_workflows)
    return f"**Also looked at:**\n\n{listed}" if listed else ""


def _listed(workflows: Iterable[pb.Analysis.Workflow]) -> str:
    return "\n".join(
        f"- {each.title} (`{each.workflow}`, {each.confidence:.2f}): {each.rationale}"
        for each in workflows
    )


def answer(best: Candidate | None, nearest: Sequence[pb.Analysis.Workflow]) -> str:
    """What is answered to a question, in CommonMark: the best, what is nearest, or that nothing
    is known."""
    if best is None:
        listed = _listed(nearest)
        return f"{_NOT_SURE}\n\n{listed}" if listed else _NOTHING_KNOWN
    what = workflow(best)
    known = best.note if isinstance(best, Past) else best.steps
    parts = [
        f"**{what.title}** (`{what.workflow}`, {what.confidence:.2f}): {what.rationale}.",
        f"**Root cause:** {best.root_cause}" if isinstance(best, Guide) and best.root_cause else "",
        known or "It doesn't say what to do.",
    ]
    return "\n\n".join(part for part in parts if part)


def thought(best: Candidate | None, past: list[Past]) -> str:
    """What is considered once everything was looked at."""
    if best is not None:
        return f"“{title(best)}” fits best, with confidence {best.confidence:.2f}."
    if past:
        return "Nothing fits surely enough to be relied on, though something alike was resolved."
    return "Nothing that is known fits."
