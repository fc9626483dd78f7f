"""What is concluded from what was found out: an analysis in words, and actions.

Pure: the same findings always come to the same conclusion. The rules are in docs/reasoning.md.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from kintsugi.v1 import agent_session_pb2 as pb
from kintsugi.v1 import exception_pb2

from server.domain.action_types import MANUAL_REVIEW
from server.domain.description import guess_group
from server.domain.failure_kinds import kind_of
from server.operations.conclusion import Conclusion
from server.sessions.reasoners import narrative, systemic
from server.sessions.reasoners.choice import Candidate, candidates, chosen, others, selected
from server.sessions.reasoners.findings import Guide, Past, Pattern
from server.sessions.reasoners.labels import labels, systems
from server.sessions.reasoners.proposals import proposed

_KIND_KNOWN, _NOTHING_KNOWN = 0.2, 0.1
"""How sure an analysis is that knows only the kind of failure, or not even that."""

_WORKFLOW_SELECTED = pb.Analysis.OUTCOME_WORKFLOW_SELECTED
_NO_WORKFLOW = pb.Analysis.OUTCOME_NO_WORKFLOW
_INCONCLUSIVE = pb.Analysis.OUTCOME_INCONCLUSIVE


@dataclass(frozen=True)
class Findings:
    """All that the tools answered about one session."""

    session: pb.AgentSession
    exception: exception_pb2.Exception | None
    pattern: Pattern
    guides: Sequence[Guide]
    past: Sequence[Past]

    @property
    def message(self) -> str:
        return self.exception.message if self.exception else self.session.signal.message

    @property
    def extra(self) -> dict[str, str]:
        return dict(self.exception.extra) if self.exception else {}

    @property
    def occurrences(self) -> int:
        return max(self.exception.occurrence_count, 1) if self.exception else 1


def dealt_with(exception: exception_pb2.Exception) -> Conclusion:
    """The exception is no longer pending: there is nothing to do."""
    analysis = pb.Analysis(
        root_cause="It was dealt with before it was analysed.",
        confidence=1,
        investigation_outcome=pb.Analysis.OUTCOME_RESOLVED,
        remediation_target=exception.run,
    )
    analysis.summary = narrative.summary(analysis)
    return Conclusion(analysis, [])


def conclude(found: Findings) -> Conclusion:
    """The analysis with all of its fields, the actions, and a group for one that has none."""
    known = candidates(found.guides, found.past)
    best = chosen(known)
    target = found.exception.run if found.exception else ""
    actions = proposed(best, found.extra, target)
    analysis = _analysis(found, known, best)
    analysis.actionable = any(action.action_type != MANUAL_REVIEW for action in actions)
    analysis.summary = narrative.summary(analysis)
    ungrouped = found.exception is not None and not found.exception.group
    group = guess_group(found.exception) if ungrouped and found.exception else ""
    return Conclusion(analysis, actions, group)


def _analysis(found: Findings, known: Sequence[Candidate], best: Candidate | None) -> pb.Analysis:
    is_systemic = systemic.is_systemic(found.pattern, found.occurrences)
    return pb.Analysis(
        root_cause=narrative.root_cause(found.message, best),
        impact=narrative.impact(found.session, found.exception, found.pattern),
        affected_systems=[*found.pattern.automations, *systems(found.message)],
        lifecycle_context=narrative.lifecycle(found.session, found.exception),
        systemic=is_systemic,
        pattern_description=systemic.told(found.pattern, found.occurrences) if is_systemic else "",
        confidence=_confidence(found.message, known),
        investigation_outcome=_outcome(best),
        selected_workflow=selected(best, known) if best else None,
        alternative_workflows=others(known, best),
        remediation_target=found.exception.run if found.exception else found.session.signal.title,
        detected_labels=labels(found.message, found.extra),
    )


def _outcome(best: Candidate | None) -> pb.Analysis.Outcome.ValueType:
    if best is None:
        return _INCONCLUSIVE
    if isinstance(best, Guide) and not (best.steps or best.action_type):
        return _NO_WORKFLOW
    return _WORKFLOW_SELECTED


def _confidence(message: str, known: Sequence[Candidate]) -> float:
    least = _KIND_KNOWN if kind_of(message) else _NOTHING_KNOWN
    return max(least, known[0].confidence) if known else least
