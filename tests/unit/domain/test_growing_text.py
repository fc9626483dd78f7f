"""A text that grows while it is written: nothing is lost and nothing comes twice."""

import random

import pytest

from server.domain.growing_text import LONGEST_BYTES, GrowingText, TextTooLong


def test_every_part_is_taken_once() -> None:
    text, taken = GrowingText("It "), []
    for word in ("can ", "be ", "repaired."):
        text.append(word)
        taken.append(text.take())
        text.settle()
    assert taken == ["can ", "be ", "repaired."]
    assert text.is_written
    assert str(text) == "It can be repaired."


def test_what_could_not_be_written_is_taken_again() -> None:
    text = GrowingText("")
    text.append("one ")
    assert text.take() == "one "
    text.append("two")
    assert text.take() == "one two"


def test_what_is_appended_while_it_is_written_comes_next() -> None:
    text = GrowingText("")
    text.append("one ")
    text.take()
    text.append("two")
    text.settle()
    assert not text.is_written
    assert text.take() == "two"


@pytest.mark.parametrize("written", [0, 3, 6])
def test_it_goes_on_from_what_turned_out_to_be_written(written: int) -> None:
    text = GrowingText("öne")
    text.append("two")
    text.take()
    text.rewind(written)
    text.append("!")
    assert text.take() == "önetwo!"[written:]
    assert str(text) == "önetwo!"


def test_what_no_database_can_hold_is_left_out() -> None:
    text = GrowingText("")
    text.append("a\0b\ud83dc")
    assert text.take() == "ab?c"


def test_a_text_does_not_grow_for_ever() -> None:
    text = GrowingText("x" * (LONGEST_BYTES - 1))
    with pytest.raises(TextTooLong):
        text.append("ö")
    text.append("o")
    assert len(str(text)) == LONGEST_BYTES


def test_whatever_fails_in_between_the_pieces_are_the_text() -> None:
    chance = random.Random(7)
    for _ in range(200):
        text, database = GrowingText("begun "), "begun "
        for number in range(20):
            text.append(f"{number} ")
            piece = text.take()
            match chance.choice(["written", "lost", "written, but nobody was told"]):
                case "written":
                    database += piece
                    text.settle()
                case "lost":
                    text.rewind(len(database))
                case _:
                    database += piece
                    text.rewind(len(database))
        assert database + text.take() == str(text)
