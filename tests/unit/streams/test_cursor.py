"""Cursors: opaque, and of one log only."""

import pytest

from server.domain.errors import CursorInvalid
from server.streams import cursor


def test_a_cursor_keeps_its_position() -> None:
    assert cursor.decode("a/log", cursor.encode("a/log", "1.2.3")) == "1.2.3"


@pytest.mark.parametrize("text", ["", "x", "é", "AAAA", "A" * 256, "==", "\0", "a b"])
def test_made_up_text_is_no_cursor(text: str) -> None:
    with pytest.raises(CursorInvalid):
        cursor.decode("a/log", text)


def test_a_cursor_is_of_one_log_only() -> None:
    with pytest.raises(CursorInvalid):
        cursor.decode("another/log", cursor.encode("a/log", "17"))


def test_the_largest_cursor_fits() -> None:
    position = f"{2**31 - 1}.{2**64 - 1}.{2**63 - 1}"
    assert len(cursor.encode("a/log", position)) <= 256
