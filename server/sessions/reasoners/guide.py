"""The reasoner that needs no model and no network: it knows what the workspace has learned.

It looks at the pattern, at the guide entries in use and at past resolutions, in the open.
"""

from collections.abc import Callable, Sequence
from typing import Any

from kintsugi.v1 import exception_pb2

from server.domain.fingerprint import masked
from server.operations.conclusion import Answer, Conclusion
from server.sessions.reasoner import Subject, Work
from server.sessions.reasoners import narrative, systemic
from server.sessions.reasoners.choice import candidates, chosen, others
from server.sessions.reasoners.conclusion import Findings, conclude, dealt_with
from server.sessions.reasoners.findings import Finding, Guide, Past, Pattern
from server.sessions.reasoners.recall import Recall, Sought
from server.store.store import Store

_TOLD = 500
"""Characters of a masked message that are told."""


class GuideReasoner:
    """Analyses by what one store holds; the same findings always come to the same conclusion."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def analyse(self, subject: Subject, work: Work) -> Conclusion:
        """Reads and ranks, each once, tells what it makes of it, and concludes."""
        exception = subject.exception
        if exception is not None and exception.state != exception_pb2.EXCEPTION_STATE_PENDING:
            return dealt_with(exception)
        found = self._findings(subject, work)
        work.check()
        best = chosen(candidates(found.guides, found.past))
        work.think("choice", narrative.thought(best, list(found.past)))
        return conclude(found)

    def answer(self, subject: Subject, question: str, work: Work) -> Answer:
        """What is known to help, by the same rules; a question of no automation is of all."""
        recall = Recall(self._store, Sought.by_question(subject, question))
        guides, past = _looked_for(recall, question[:_TOLD], work)
        known = candidates(guides, past)
        best = chosen(known)
        return Answer(narrative.answer(best, others(known, best)))

    def _findings(self, subject: Subject, work: Work) -> Findings:
        sought = Sought.of(subject)
        recall = Recall(self._store, sought)
        what = masked(sought.message)[:_TOLD]
        pattern = work.tool(
            "pattern", "Count how often this was raised", what, _plain(recall.pattern)
        )
        seen = Pattern.of(pattern)
        work.think("pattern-read", _thought(seen, subject))
        guides, past = _looked_for(recall, what, work)
        return Findings(subject.session, subject.exception, seen, guides, past)


def _looked_for(recall: Recall, what: str, work: Work) -> tuple[list[Guide], list[Past]]:
    guides = work.tool("guides", "Look for guide entries that fit", what, _all_plain(recall.guides))
    past = work.tool("past", "Look for what helped before", what, _all_plain(recall.past))
    return [Guide.of(each) for each in guides], [Past.of(each) for each in past]


def _plain(find: Callable[[], Finding]) -> Callable[[], Any]:
    return lambda: find().plain()


def _all_plain(find: Callable[[], Sequence[Finding]]) -> Callable[[], Any]:
    return lambda: [each.plain() for each in find()]


def _thought(pattern: Pattern, subject: Subject) -> str:
    occurrences = subject.exception.occurrence_count if subject.exception else 1
    if not pattern.others:
        return "This failure is new: no other exception reads like it."
    kind = "systemic" if systemic.is_systemic(pattern, occurrences) else "isolated"
    return f"It looks {kind}: {systemic.told(pattern, occurrences)}."
