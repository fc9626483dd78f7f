"""What is answered in a chat, by how sure what is known is."""

import pytest

from server.sessions.reasoners import narrative
from server.sessions.reasoners.choice import candidates, chosen, others
from server.sessions.reasoners.findings import Guide, Past

PARENT = "organizations/o/workspaces/w"


def a_guide(id: str, confidence: float, **fields: str) -> Guide:
    name = f"{PARENT}/automations/billing/guideEntries/{id}"
    return Guide(name, f"Title {id}", confidence=confidence, similarity=0.4, **fields)  # type: ignore[arg-type]


def a_past(id: str, confidence: float) -> Past:
    return Past(f"{PARENT}/exceptions/{id}", f"Note {id}", confidence=confidence, similarity=0.4)


def answer(*known: Guide | Past) -> str:
    guides = [each for each in known if isinstance(each, Guide)]
    found = candidates(guides, [each for each in known if isinstance(each, Past)])
    best = chosen(found)
    return narrative.answer(best, others(found, best))


def test_the_surest_is_the_answer_with_its_name_and_what_to_do() -> None:
    best = a_guide("a", 0.7, root_cause="The disk is full.", steps="Empty it.")
    said = answer(a_guide("b", 0.5, steps="Something else."), best)
    assert said.startswith(f"**Title a** (`{best.name}`, 0.70): its wording is alike")
    assert said.endswith("**Root cause:** The disk is full.\n\nEmpty it.")


def test_what_was_once_done_is_an_answer_too() -> None:
    said = answer(a_guide("a", 0.4, steps="Empty it."), a_past("x", 0.6))
    assert said.startswith(f"**Note x** (`{PARENT}/exceptions/x`, 0.60)")
    assert said.endswith("Note x")


def test_an_entry_that_says_nothing_to_do_says_so() -> None:
    assert answer(a_guide("a", 0.9)).endswith("It doesn't say what to do.")


def test_the_three_nearest_are_listed_where_nothing_is_sure() -> None:
    said = answer(*(a_guide(str(n), n / 10) for n in range(5)), a_past("x", 0.35))
    assert [line.split(" (")[0] for line in said.splitlines()[2:]] == [
        "- Title 4",
        "- Note x",
        "- Title 3",
    ]
    assert "0.35" in said


@pytest.mark.parametrize("known", [(), (a_guide("a", 0.29), a_past("x", 0.1))])
def test_it_is_said_plainly_that_nothing_is_known(known: tuple[Guide | Past, ...]) -> None:
    assert answer(*known).startswith("I know nothing about that")
