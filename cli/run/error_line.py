"""Which line of a command's output says what went wrong.

Masking of secrets in it is not done here.
"""

import re
from collections.abc import Iterator

from cli.run.capture import Capture, View

ANSI = re.compile(rb"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\^_])")
"""Escape sequences that colour a terminal or move its cursor."""

_LINE = re.compile(rb"[^\r\n]+")
_VISIBLE = re.compile(rb"[^\x00-\x20\x7f]")
_TRACEBACK = re.compile(rb"([ |+]*)(?:Exception Group )?Traceback \(most recent call last\):\s*")


def error_line(capture: Capture) -> View | None:
    """The line of a Python traceback that names the error, else the last line of stderr that
    isn't empty, else of stdout; None where there is none.
    """
    views = capture.stderr(), capture.stdout()
    for find in (_of_traceback, _last):
        for view in views:
            if span := find(view):
                return view.part(*span)
    return None


def _of_traceback(view: View) -> tuple[int, int] | None:
    """Span of the line after the frames of the last traceback."""
    found, margin = None, None
    for start, end in _lines(view.text):
        line = view.text[start:end]
        if header := _TRACEBACK.fullmatch(line):
            margin = len(header[1])
        elif margin is not None and not line[margin:].startswith(b" "):
            found, margin = _trimmed(view.text, start + margin, end), None
    return found


def _last(view: View) -> tuple[int, int] | None:
    spans = [_trimmed(view.text, start, end) for start, end in _lines(view.text)]
    return spans[-1] if spans else None


def _lines(text: bytes) -> Iterator[tuple[int, int]]:
    """Spans of the lines in which something can be seen."""
    for line in _LINE.finditer(text):
        if _VISIBLE.search(ANSI.sub(b"", line[0])):
            yield line.span()


def _trimmed(text: bytes, start: int, end: int) -> tuple[int, int]:
    line = text[start:end]
    return start + len(line) - len(line.lstrip()), end - len(line) + len(line.rstrip())
