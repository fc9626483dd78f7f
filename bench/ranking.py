"""How often the guide that helps is found for the messages of ranking.toml, and or a wrong one.

Against PostgreSQL's full text with OR-ed lexemes, and the same with the automation's own guides
first. The rules were tuned on one half of the messages; the other half is reported.
"""

import tomllib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import psycopg

from bench.measure import Row
from bench.stage import database, temporary_directory
from server.sessions.reasoners.confidence import SURE
from server.sessions.reasoners.findings import Guide
from server.sessions.reasoners.ranking import ranked

_LABELLED = Path(__file__).with_name("ranking.toml")
_TUNED, _REPORTED = 0, 1

_FULL_TEXT = """
    SELECT id FROM guides, to_tsquery('english', %(sought)s) AS sought
    WHERE words @@ sought ORDER BY automation = %(automation)s DESC, ts_rank(words, sought, 1) DESC
    LIMIT 3
"""
_LEXEMES = """
    SELECT string_agg(quote_literal(lexeme), ' | ')
    FROM unnest(to_tsvector('english', %s))
"""


class Case(NamedTuple):
    """A message of an automation, and the id of the guide that helps; empty if none does."""

    automation: str
    message: str
    guide: str


class Answer(NamedTuple):
    """The ids of the best guides, best first, and how sure the first is, 0 to 1."""

    guides: Sequence[str]
    confidence: float


Ranker = Callable[[Case], Answer]


def run() -> list[Row]:
    labelled = _labelled()
    cases = list(_cases(labelled, _REPORTED))
    ours = [_ours(labelled, case) for case in cases]
    baseline = _full_text(labelled, cases)
    known = [number for number, case in enumerate(cases) if case.guide]
    unknown = [number for number, case in enumerate(cases) if not case.guide]
    wrong = [
        answer.confidence >= SURE and answer.guides[0] != case.guide
        for case, answer in zip(cases, ours, strict=True)
    ]
    sure = [answer.confidence >= SURE for answer in ours]

    def top(most: int, answers: Sequence[Answer]) -> float:
        return _share(
            [
                case.guide in answer.guides[:most]
                for case, answer in zip(cases, answers, strict=True)
            ],
            known,
        )

    found = [
        _row(f"ranking: the right guide in {most}", top(most, ours), top(most, baseline))
        for most in (1, 3)
    ]
    return [
        *found,
        _row("ranking: sure, of messages with a guide", _share(sure, known)),
        _row("ranking: sure and wrong, of all messages", _share(wrong, range(len(cases)))),
        _row("ranking: sure, of messages without a guide", _share(sure, unknown)),
    ]


def _labelled() -> dict[str, Any]:
    return tomllib.loads(_LABELLED.read_text())


def _cases(labelled: dict[str, Any], half: int) -> Iterator[Case]:
    for automation, known in labelled.items():
        for guide in known["guides"]:
            for message in guide["messages"][half::2]:
                yield Case(automation, message, guide["id"])
        for message in known["unknown"][half::2]:
            yield Case(automation, message, "")


def _guides(labelled: dict[str, Any], automation: str) -> Iterator[Guide]:
    for owner, known in labelled.items():
        for guide in known["guides"]:
            yield Guide(
                name=guide["id"],
                title=guide["title"],
                root_cause=guide["root_cause"],
                steps=guide["resolution_steps"],
                is_own=owner == automation,
            )


def _ours(labelled: dict[str, Any], case: Case) -> Answer:
    best = ranked(case.message, list(_guides(labelled, case.automation)))
    return Answer([guide.name for guide in best[:3]], best[0].confidence)


def _full_text(labelled: dict[str, Any], cases: Sequence[Case]) -> list[Answer]:
    with (
        temporary_directory() as directory,
        database(directory) as postgres,
        psycopg.connect(postgres.url("postgres")) as connection,
    ):
        connection.execute("CREATE TEMP TABLE guides (id text, automation text, words tsvector)")
        for automation, known in labelled.items():
            for guide in known["guides"]:
                text = f"{guide['title']} {guide['root_cause']} {guide['resolution_steps']}"
                connection.execute(
                    "INSERT INTO guides VALUES (%s, %s, to_tsvector('english', %s))",
                    (guide["id"], automation, text),
                )
        return [_found(connection, case) for case in cases]


def _found(connection: psycopg.Connection[Any], case: Case) -> Answer:
    [(sought,)] = connection.execute(_LEXEMES, (case.message,)).fetchall()
    given = {"sought": sought or "", "automation": case.automation}
    return Answer([id for (id,) in connection.execute(_FULL_TEXT, given)], 0)


def _share(true: Sequence[bool], of: Sequence[int]) -> float:
    return 100 * sum(true[number] for number in of) / len(of)


def _row(name: str, value: float, baseline: float | None = None) -> Row:
    return Row(
        name=name,
        value=round(value, 1),
        unit="%",
        baseline=None if baseline is None else round(baseline, 1),
        ratio=None if not baseline else round(value / baseline, 3),
        goal=None,
        met=None,
    )
