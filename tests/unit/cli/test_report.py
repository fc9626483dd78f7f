"""What a failed attempt tells the service."""

import signal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cli.run.capture import Capture
from cli.run.process import Outcome
from cli.run.report import LIMIT, describe

RUN = "organizations/local/workspaces/default/automations/a/runs/1"


def outcome(stderr: bytes = b"", stdout: bytes = b"") -> Outcome:
    capture = Capture()
    capture.add_stdout(stdout)
    capture.add_stderr(stderr)
    return Outcome(3, "exited with 3", capture)


def test_a_failure_without_output_says_how_it_ended_at_the_end_of_the_output() -> None:
    told = describe(outcome(stdout=b"\n\n"), ["false"], RUN, "1-x", with_output=True)
    assert told.message == "false exited with 3"
    assert (told.location.start_byte, told.location.end_byte) == (2, 2)
    assert told.extra["output"] == "\n\n"


def test_without_output_nothing_that_was_written_is_told() -> None:
    told = describe(outcome(b"name=Ada\n", b"born=1815\n"), ["job"], RUN, "1-x", with_output=False)
    assert told.message == "job exited with 3"
    assert set(told.extra) == {"exit_code", "command", "host"}


def test_the_message_is_masked_as_the_output_is() -> None:
    told = describe(
        outcome(b"\x1b[31mwrong password=hunter2\x1b[0m\n"), ["j"], RUN, "1-x", with_output=True
    )
    assert told.message == "wrong password=***"
    assert "hunter2" not in str(told)


def test_the_command_is_quoted_for_a_shell_and_masked() -> None:
    command = ["job", "a b", "--token", "abc", "\udcff", "--url=http://u:pw@h"]
    told = describe(outcome(), command, RUN, "1-x", with_output=True)
    assert told.extra["command"] == "job 'a b' --token '***' '\ufffd' '--url=http://u:***@h'"


def test_at_most_the_last_16_kib_of_output_are_told() -> None:
    told = describe(outcome("é".encode() * LIMIT, b"y" * 10), ["j"], RUN, "1-x", with_output=True)
    assert told.extra["output"] == "é" * (LIMIT // 2)


@pytest.mark.parametrize("junk", [b"\x00\x01\xff\xfe" * 9000, b"\x00", b"\xff", b"\xc3"])
def test_binary_output_becomes_text_that_any_database_takes(junk: bytes) -> None:
    told = describe(outcome(junk), ["j"], RUN, "1-x", with_output=True)
    assert "\0" not in told.extra["output"] + told.message
    assert told.message
    assert len(told.message.encode()) <= 65536
    assert len(told.extra["output"].encode()) <= 65536


@given(st.binary(max_size=200), st.binary(max_size=200))
def test_whatever_was_written_an_exception_can_be_raised(stderr: bytes, stdout: bytes) -> None:
    told = describe(outcome(stderr, stdout), ["j"], RUN, "1-x", with_output=True)
    assert told.message.strip()
    size = len(stderr) + len(stdout)
    assert 0 <= told.location.start_byte <= told.location.end_byte <= size
    assert told.SerializeToString()


def test_ctrl_c_counts_as_meant_for_the_job_and_sigterm_does_not() -> None:
    stopped = Outcome(1, "", Capture(), [signal.SIGTERM])
    assert not stopped.interrupted
    assert Outcome(1, "", Capture(), [signal.SIGINT]).interrupted
