"""A guide entry as a text to edit: what is written can be read, and only changes count."""

import pytest

from cli import guide_form

TEXTS = {"title": "No total", "steps": "Add it.\n\nRun again.\n", "notes": ""}


def test_a_form_that_was_not_edited_changes_nothing() -> None:
    assert guide_form.read(guide_form.write(TEXTS), TEXTS) == {}


def test_what_was_edited_is_what_changes() -> None:
    form = guide_form.write(TEXTS).replace("Run again.", "Run it again.")
    assert guide_form.read(form, TEXTS) == {"steps": "Add it.\n\nRun it again."}
    form = guide_form.write(TEXTS) + "\n    indented\n\n"
    assert guide_form.read(form, TEXTS) == {"notes": "    indented"}


def test_an_emptied_part_unsets_its_field_and_a_lost_one_leaves_it() -> None:
    form = guide_form.write(TEXTS)
    assert guide_form.read(form.replace("No total", ""), TEXTS) == {"title": ""}
    assert guide_form.read(form.replace("=== title ===", ""), TEXTS) == {}
    assert guide_form.read("", TEXTS) == {}


def test_line_ends_of_other_systems_are_no_change() -> None:
    assert guide_form.read(guide_form.write(TEXTS).replace("\n", "\r\n"), TEXTS) == {}


@pytest.mark.parametrize(
    "text", ["=== title ===\nx", "a\n==== notes ====\n", "====", "\n\n a \n\n"]
)
def test_no_text_is_taken_for_a_heading(text: str) -> None:
    texts = TEXTS | {"steps": text}
    assert guide_form.read(guide_form.write(texts), texts) == {}
