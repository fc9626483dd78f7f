"""What is sent for what was typed."""

import io
from pathlib import Path

import click
import pytest

from cli.message import MOST_BYTES, compose


def test_a_text_alone_is_sent_as_it_is() -> None:
    assert compose("a\nb ", []).content == "a\nb "


def test_a_minus_reads_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"a\nb\xff\n")))
    assert compose("-", []).content == "a\nb\ufffd"


def test_files_go_along_with_their_kind_and_name(tmp_path: Path) -> None:
    table, blob = tmp_path / "rows.csv", tmp_path / "blob"
    table.write_text("a,b")
    blob.write_bytes(b"\0\xff")
    items = compose("look", [table, blob]).content_list.items
    assert items[0].text == "look"
    files = [item.file.inline for item in items[1:]]
    assert [(file.mime_type, file.filename, file.content) for file in files] == [
        ("text/csv", "rows.csv", b"a,b"),
        ("application/octet-stream", "blob", b"\0\xff"),
    ]


def test_a_file_needs_no_text(tmp_path: Path) -> None:
    file = tmp_path / "a.txt"
    file.write_text("x")
    (item,) = compose("", [file]).content_list.items
    assert item.file.inline.mime_type == "text/plain"


def test_nothing_to_say_is_refused() -> None:
    with pytest.raises(click.UsageError, match="nothing to say"):
        compose("", [])


def test_files_that_are_too_large_are_refused_before_they_are_read_whole(tmp_path: Path) -> None:
    large = tmp_path / "large"
    with large.open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(click.ClickException, match="more than 1 MiB together"):
        compose("", [large])
    half = tmp_path / "half"
    half.write_bytes(b"x" * (MOST_BYTES // 2 + 1))
    with pytest.raises(click.ClickException, match="more than 1 MiB together"):
        compose("", [half, half])


def test_a_file_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    with pytest.raises(click.ClickException, match="can't be read: No such file"):
        compose("", [tmp_path / "gone"])


def test_text_that_is_no_utf_8_can_be_sent() -> None:
    assert compose("a\udcff", []).content == "a\ufffd"
