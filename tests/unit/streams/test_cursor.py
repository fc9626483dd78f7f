"""Cursors: opaque, and of one log only."""

import base64

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


def test_a_position_is_read_as_it_was_written() -> None:
    assert cursor.numbers("1.2.3", 9, 9, 9) == (1, 2, 3)
    assert cursor.numbers(f"{2**63 - 1}", cursor.INT64) == (2**63 - 1,)


@pytest.mark.parametrize(
    "text",
    ["", "1", "1.2.3", "1.", ".1", "-1.2", "+1.2", " 1.2", "1.2\n", "1_0.2", "1.x", "\u0661.2"],
)
def test_what_is_no_position_is_refused(text: str) -> None:
    with pytest.raises(CursorInvalid):
        cursor.numbers(text, cursor.INT64, cursor.INT64)


@pytest.mark.parametrize("text", [f"{2**63}", "9" * 200])
def test_a_number_too_large_for_the_database_is_refused(text: str) -> None:
    with pytest.raises(CursorInvalid):
        cursor.numbers(text, cursor.INT64)


def test_a_cursor_with_the_right_checksum_around_what_is_no_text_is_refused() -> None:
    body = b"\xff\xfe"
    forged = base64.urlsafe_b64encode(cursor._checksum("a/log", body) + body).decode()
    with pytest.raises(CursorInvalid):
        cursor.decode("a/log", forged.rstrip("="))
