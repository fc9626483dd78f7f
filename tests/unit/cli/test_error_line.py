"""The one line that a person reads first."""

import traceback

import pytest

from cli.run.capture import Capture
from cli.run.error_line import error_line

TRACEBACK = b"""Traceback (most recent call last):
  File "bill.py", line 12, in <module>
    main()
    ~~~~^^
  File "bill.py", line 7, in main
    raise KeyError("total")
KeyError: 'total'
"""


def captured(stderr: bytes = b"", stdout: bytes = b"") -> Capture:
    capture = Capture()
    capture.add_stdout(stdout)
    capture.add_stderr(stderr)
    return capture


def line(stderr: bytes = b"", stdout: bytes = b"") -> bytes | None:
    found = error_line(captured(stderr, stdout))
    return found.text if found else None


def test_a_python_traceback_is_told_by_its_last_line() -> None:
    assert line(TRACEBACK) == b"KeyError: 'total'"


def test_what_other_programs_add_after_a_traceback_does_not_hide_it() -> None:
    assert line(TRACEBACK + b"make: *** [Makefile:3: bill] Error 1\n") == b"KeyError: 'total'"


def test_of_chained_tracebacks_the_last_one_counts() -> None:
    during = b"\nDuring handling of the above exception, another exception occurred:\n\n"
    last = TRACEBACK.replace(b"KeyError: 'total'", b"billing.Broken: row 3")
    assert line(TRACEBACK + during + last) == b"billing.Broken: row 3"


def test_a_message_of_several_lines_is_told_by_the_line_that_names_the_error() -> None:
    assert line(TRACEBACK.rstrip() + b"\nfurther\n  detail\n") == b"KeyError: 'total'"


def test_a_traceback_on_stdout_is_found_too() -> None:
    assert line(b"job failed\n", TRACEBACK) == b"KeyError: 'total'"


def test_an_exception_group_is_told_by_its_innermost_error() -> None:
    def fail() -> None:
        raise ValueError("two")

    try:
        fail()
    except ValueError as error:
        group = ExceptionGroup("many", [ValueError("one"), error])
    text = "".join(traceback.format_exception(group)).encode()
    assert line(text) == b"ValueError: two"


def test_a_traceback_that_was_cut_off_is_told_by_the_last_line() -> None:
    assert line(b'Traceback (most recent call last):\n  File "x"\n') == b'File "x"'


@pytest.mark.parametrize(
    ("stderr", "stdout", "expected"),
    [
        (b"one\ntwo\n", b"out\n", b"two"),
        (b"one\n\n  \n", b"", b"one"),
        (b"", b"only\nout", b"out"),
        (b" \n", b"out\n", b"out"),
        (b"\x1b[0m\n", b"out\n", b"out"),
        (b"10%\r20%\rdisk full\r\n", b"", b"disk full"),
        (b"", b"", None),
        (b"\x00\x00\x00", b"", None),
    ],
)
def test_without_a_traceback_the_last_line_that_is_not_empty(
    stderr: bytes, stdout: bytes, expected: bytes | None
) -> None:
    assert line(stderr, stdout) == expected


def test_the_span_counts_bytes_of_all_output_as_it_came() -> None:
    capture, whole = Capture(), b""
    for stream, data in [
        (capture.add_stdout, "één\n".encode()),
        (capture.add_stderr, b"  disk "),
        (capture.add_stdout, b"more\n"),
        (capture.add_stderr, b"full\n"),
    ]:
        stream(data)
        whole += data
    found = error_line(capture)
    assert found
    assert found.text == b"disk full"
    start, end = found.span()
    assert whole[start:end] == b"disk more\nfull"


def test_the_span_is_right_after_more_output_than_is_kept() -> None:
    capture = Capture()
    for _ in range(100):
        capture.add_stdout(b"x" * 10_000)
    capture.add_stderr(b"disk full\n")
    for _ in range(100):
        capture.add_stdout(b"x" * 10_000)
    found = error_line(capture)
    assert found
    assert (found.text, found.span()) == (b"disk full", (1_000_000, 1_000_009))
