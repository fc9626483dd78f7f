"""Which guide entries and past resolutions fit a message."""

import tomllib
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from server.sessions.reasoners.confidence import SURE
from server.sessions.reasoners.findings import Guide, Past
from server.sessions.reasoners.ranking import ranked, ranked_past
from server.sessions.reasoners.similarity import similarities

DISK = Guide("disk", "The disk is full", "Old partitions fill the volume.", "Drop partitions.")
LOGIN = Guide("login", "Login is refused", "The password has expired.", "Renew the password.")
PRICE = Guide("price", "No price", "Purchasing has not entered one.", "Ask purchasing.")
ALL = [DISK, LOGIN, PRICE]
MESSAGE = "could not write: No space left on device /dev/sda1 (disk full)"


def names(found):
    return [each.name for each in found]


def test_the_one_that_reads_alike_comes_first_and_is_sure():
    best, *others = ranked(MESSAGE, ALL)
    assert best.name == "disk"
    assert best.confidence >= SURE
    assert all(other.confidence < SURE for other in others)


def test_nothing_is_sure_where_nothing_fits():
    best, *_ = ranked("the moon is in the seventh house", ALL)
    assert best.confidence < SURE


def test_what_was_learned_from_the_same_failure_comes_before_wording():
    learned = Guide("learned", "Something else entirely", is_same=True)
    assert names(ranked(MESSAGE, [*ALL, learned]))[:2] == ["learned", "disk"]


def test_another_automation_counts_less():
    [own] = ranked(MESSAGE, [DISK])
    [other] = ranked(MESSAGE, [Guide(**{**DISK.plain(), "is_own": False})])
    assert other.similarity < own.similarity / 2
    assert other.confidence < own.confidence


def test_two_that_fit_alike_make_each_other_less_sure():
    alone = ranked(MESSAGE, ALL)[0]
    beside = ranked(MESSAGE, [*ALL, Guide(**{**DISK.plain(), "name": "twin"})])[0]
    assert beside.confidence < alone.confidence


def test_what_may_resolve_by_itself_comes_first_until_it_has_failed_three_times():
    worked = Guide("worked", "By hand", is_same=True, worked=5)
    for failed, first in ((0, "standing"), (2, "standing"), (3, "worked")):
        standing = Guide("standing", "x", is_same=True, is_standing=True, failed=failed)
        assert names(ranked(MESSAGE, [worked, standing]))[0] == first


def test_past_resolutions_of_the_same_failure_come_first_the_most_frequent_before_others():
    past = [
        Past("alike", "Freed the disk"),
        Past("rare", "Waited", is_same=True),
        Past("often", "Dropped a partition", is_same=True, times=4),
    ]
    found = ranked_past(MESSAGE, [MESSAGE, "", ""], past)
    assert names(found) == ["often", "rare", "alike"]
    assert found[2].similarity > 0.9


def test_nothing_is_found_among_nothing():
    assert ranked(MESSAGE, []) == []
    assert ranked_past(MESSAGE, [], []) == []


@given(st.text(max_size=200), st.lists(st.text(max_size=200), max_size=5))
def test_a_likeness_is_between_0_and_1(message, texts):
    found = similarities(message, texts)
    assert len(found) == len(texts)
    assert all(0 <= value <= 1.000001 for value in found)


def test_every_message_of_the_benchmark_is_of_one_guide():
    labelled = tomllib.loads(Path("bench/ranking.toml").read_text())
    messages = [
        message
        for known in labelled.values()
        for guide in known["guides"]
        for message in guide["messages"]
    ]
    unknown = [message for known in labelled.values() for message in known["unknown"]]
    assert len(messages) >= 120
    assert len(unknown) >= 30
    assert len({*messages, *unknown}) == len(messages) + len(unknown)


def test_the_same_failure_is_as_alike_as_can_be():
    [guide] = ranked(MESSAGE, [Guide("learned", "Something else entirely", is_same=True)])
    [past] = ranked_past(MESSAGE, [""], [Past("often", "Waited", is_same=True)])
    assert (guide.similarity, past.similarity) == (1, 1)
