"""What is chosen of what is known to help, and told in an analysis as a workflow.

How sure each candidate is was judged before.
"""

from collections.abc import Sequence

from google.protobuf.struct_pb2 import Struct
from kintsugi.v1 import agent_session_pb2 as pb

from server.sessions.reasoners.confidence import SURE
from server.sessions.reasoners.findings import Guide, Past

Candidate = Guide | Past

_LONGEST_TITLE = 120

_ALTERNATIVES = 3
"""How many further candidates are told."""

_LEAST = 0.3
"""How sure one of these is at least."""


def candidates(guides: Sequence[Guide], past: Sequence[Past]) -> list[Candidate]:
    """Surest first; a guide entry before what was once done, and what may resolve by itself first.

    Both come best first.
    """
    if guides and guides[0].is_standing and guides[0].confidence >= SURE:
        first, *rest = guides
        return [first, *_by_confidence(rest, past)]
    return _by_confidence(guides, past)


def _by_confidence(guides: Sequence[Guide], past: Sequence[Past]) -> list[Candidate]:
    known: list[Candidate] = [*guides, *past]
    return sorted(known, key=lambda each: each.confidence, reverse=True)


def chosen(known: Sequence[Candidate]) -> Candidate | None:
    """The first, if it is sure enough."""
    return known[0] if known and known[0].confidence >= SURE else None


def others(known: Sequence[Candidate], best: Candidate | None) -> list[pb.Analysis.Workflow]:
    """The nearest beside the best that are worth reading, surest first."""
    told = [each for each in known if each is not best and each.confidence >= _LEAST]
    return [workflow(each) for each in told[:_ALTERNATIVES]]


def workflow(candidate: Candidate) -> pb.Analysis.Workflow:
    """What an analysis says of a candidate."""
    if isinstance(candidate, Past):
        return pb.Analysis.Workflow(
            workflow=candidate.name,
            title=title(candidate),
            confidence=candidate.confidence,
            rationale=rationale(candidate),
        )
    parameters = Struct()
    parameters.update(dict(candidate.parameters))
    return pb.Analysis.Workflow(
        workflow=candidate.name,
        title=title(candidate),
        action_type=candidate.action_type,
        confidence=candidate.confidence,
        rationale=rationale(candidate),
        parameters=parameters if candidate.parameters else None,
    )


def selected(best: Candidate, known: Sequence[Candidate]) -> pb.Analysis.Workflow:
    """The same of the one that was chosen, and why no past resolution was."""
    told = workflow(best)
    notes = [each for each in known if isinstance(each, Past)]
    if isinstance(best, Guide) and any(note.confidence >= best.confidence for note in notes):
        told.rationale += "; a guide entry goes before a note"
    return told


def title(candidate: Candidate) -> str:
    """That of the guide entry, or the first line of what was done."""
    text = candidate.title if isinstance(candidate, Guide) else candidate.note
    line = next((line.strip() for line in text.splitlines() if line.strip()), "without a title")
    return line if len(line) <= _LONGEST_TITLE else f"{line[: _LONGEST_TITLE - 1].rstrip()}…"


def rationale(candidate: Candidate) -> str:
    """Why it was chosen, or not: `learned from the same failure; it worked 3 times`"""
    because = _resemblance(candidate)
    if isinstance(candidate, Past):
        return f"{because}; that resolved it {_times(candidate.times)}"
    if not candidate.is_own:
        because = f"{because}, of another automation"
    tried = [
        f"it {what} {_times(number)}"
        for what, number in (("worked", candidate.worked), ("did not work", candidate.failed))
        if number
    ]
    return "; ".join((because, " and ".join(tried))) if tried else because


def _resemblance(candidate: Candidate) -> str:
    if candidate.is_same:
        return "learned from the same failure"
    return f"its wording is alike (similarity {candidate.similarity:.2f})"


def _times(number: int) -> str:
    return "once" if number == 1 else f"{number} times"
