"""What a workspace knows about a failure, read and ranked: what the tools of a reasoner answer.

What is concluded from it is said in `conclusion.py`.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

from server.domain.action_state import FAILED, UNKNOWN
from server.domain.fingerprint import fingerprint
from server.domain.names import AutomationName, ExceptionName, WorkspaceName
from server.domain.timestamps import to_datetime
from server.sessions.reasoner import Subject
from server.sessions.reasoners.findings import Guide, Past, Pattern
from server.sessions.reasoners.ranking import ranked, ranked_past
from server.store import knowledge
from server.store.connection import Row
from server.store.query import Query
from server.store.store import Store

_ANSWERED = 5
"""How many candidates a tool answers."""

_PENDING, _RESOLVED = 1, 2
"""EXCEPTION_STATE_PENDING and EXCEPTION_STATE_RESOLVED."""

_LONGEST_STEPS = 4_000
"""Characters; the description of an action has at most 4 KiB."""


@dataclass(frozen=True)
class Sought:
    """What is looked for: a message, and whose it is; the ids are empty for a signal.

    A question is about the `failure` of that message, which it stands before.
    """

    workspace: str
    parent: WorkspaceName
    message: str
    automation: str = ""
    exception: str = ""
    at: datetime | None = None
    failure: str = ""
    is_question: bool = False

    @classmethod
    def of(cls, subject: Subject) -> "Sought":
        if subject.exception is None:
            return cls(subject.workspace, subject.parent, subject.session.signal.message)
        return cls(
            subject.workspace,
            subject.parent,
            subject.exception.message,
            AutomationName.parse(subject.exception.automation).automation,
            ExceptionName.parse(subject.exception.name).id,
            to_datetime(subject.exception.create_time.ToMicroseconds()),
        )

    @classmethod
    def by_question(cls, subject: Subject, question: str) -> "Sought":
        """What a question is about: the exception of its chat, or what it says itself."""
        about = cls.of(subject)
        failure, message = about.message or question, f"{question}\n{about.message}".strip()
        return replace(about, message=message, failure=failure, is_question=True)

    @property
    def is_anywhere(self) -> bool:
        """Whether it is of no automation, so that none is another."""
        return self.is_question and not self.automation

    def parameters(self) -> dict[str, Any]:
        return {
            "workspace": self.workspace,
            "fingerprint": fingerprint(self.failure or self.message),
            "automation": self.automation,
            "exception": self.exception,
            "at": self.at,
        }


class Recall:
    """What is known in one workspace about what is sought."""

    def __init__(self, store: Store, sought: Sought) -> None:
        self._database = store.database
        self._sought = sought
        self._parameters = sought.parameters()

    def pattern(self) -> Pattern:
        """How often it was seen, where, and whether that is more than usual."""
        [(others, since, last_hour, before)] = self._all(knowledge.STATISTICS)
        alike = self._alike
        named = (self._sought.automation, *(automation for _, automation, *_ in alike))
        return Pattern(
            others=others,
            since=_day(since) if others else "",
            automations=list(dict.fromkeys(filter(None, named))),
            pending=sum(state == _PENDING for _, _, state, *_ in alike),
            last_hour=last_hour,
            usual=round(sum(before) / len(before), 2),
        )

    def guides(self) -> list[Guide]:
        """The entries in use that fit best, best first."""
        worked, failed = self._worked(), self._failed()
        guides = [self._guide(row, worked, failed) for row in self._all(knowledge.GUIDES)]
        best = ranked(self._sought.message, guides)[:_ANSWERED]
        return [guide for guide in best if guide.similarity or guide.is_same]

    def past(self) -> list[Past]:
        """What people once did about the same failure, or about one like it; best first."""
        same = _by_note(self._alike)
        known = [
            Past(name=self._exception(id), note=note, is_same=True, times=times)
            for id, note, times in same
        ]
        anywhere = self._sought.is_anywhere
        others = self._all(knowledge.PAST_ANYWHERE if anywhere else knowledge.PAST)
        known += [Past(name=self._exception(id), note=note) for id, _, note in others]
        messages = ["" for _ in same] + [message for _, message, _ in others]
        return ranked_past(self._sought.message, messages, known)[:_ANSWERED]

    @cached_property
    def _alike(self) -> list[Row]:
        return self._all(knowledge.OF_PATTERN)

    def _worked(self) -> Counter[str]:
        """By ids of guide entries: how often one resolved what is of the pattern."""
        return Counter(
            entry.rpartition("/")[2]
            for _, _, state, entry, *_ in self._alike
            if state == _RESOLVED and entry
        )

    def _failed(self) -> Counter[str]:
        """By the same: how often its action did not work, or nobody knows whether it did."""
        failed: Counter[str] = Counter()
        for entry, _, state, number in self._all(knowledge.TRIED):
            if state in (FAILED, UNKNOWN):
                failed[entry.rpartition("/")[2]] += number
        return failed

    def _guide(self, row: Row, worked: Counter[str], failed: Counter[str]) -> Guide:
        id, automation, is_same, title, root_cause, steps, notes, content, *action = row
        action_type, parameters, risk, self_resolving, connector, revision = action
        is_own = self._sought.is_anywhere or automation == self._sought.automation
        return Guide(
            name=f"{self._sought.parent}/automations/{automation}/guideEntries/{id}",
            title=title,
            root_cause=root_cause,
            steps=(steps or notes or content)[:_LONGEST_STEPS],
            action_type=action_type,
            parameters=parameters,
            risk=risk,
            is_own=is_own,
            is_same=is_same,
            is_standing=bool(self_resolving and is_same and is_own and action_type),
            connector=connector,
            connector_revision=revision,
            worked=worked[id],
            failed=failed[id],
        )

    def _exception(self, id: str) -> str:
        return f"{self._sought.parent}/exceptions/{id}"

    def _all(self, query: Query) -> list[Row]:
        return self._database.all(query, self._parameters)


def _by_note(alike: Sequence[Row]) -> list[tuple[str, str, int]]:
    """Of each note of what is resolved: the newest exception, the note, how often it was made.

    What a guide entry resolved is known from that.
    """
    resolved = [
        (id, note)
        for id, _, state, entry, _, note in alike
        if state == _RESOLVED and note and not entry
    ]
    times = Counter(note for _, note in resolved)
    newest = {note: id for id, note in reversed(resolved)}
    return [(newest[note], note, number) for note, number in times.most_common()]


def _day(microseconds: int) -> str:
    return datetime.fromtimestamp(microseconds / 1e6, UTC).date().isoformat()
