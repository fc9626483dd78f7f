"""What is said of an exception at first."""

from hypothesis import given
from hypothesis import strategies as st
from kintsugi.v1 import exception_pb2 as pb

from server.domain.description import describe, guess_group
from server.domain.exception_groups import GROUPS
from server.domain.failure_kinds import _KINDS


def test_it_says_what_it_means_what_was_said_and_how_the_run_ended():
    exception = pb.Exception(message="KeyError: 'total'\nmore", extra={"exit_code": "1"})
    assert describe(exception) == (
        "A value that was needed was missing."
        " The run said “KeyError: 'total'” and ended with exit code 1."
    )


def test_an_unknown_failure_is_described_all_the_same():
    assert describe(pb.Exception(message="oops")) == "The run broke off. The run said “oops”."
    assert describe(pb.Exception(extra={"exit_code": "x"})) == "The run broke off."


def test_long_lines_are_cut():
    assert len(describe(pb.Exception(message="x" * 65536))) < 300


def test_groups_are_guessed_from_the_kind():
    assert guess_group(pb.Exception(message="connection refused")) == "user_system_error"
    assert guess_group(pb.Exception(message="KeyError: 'a'")) == "missing_values"
    assert guess_group(pb.Exception(message="oops")) == ""


def test_every_kind_belongs_to_a_group():
    assert {kind.group for kind in _KINDS} == set(GROUPS)


@given(st.text(max_size=300), st.dictionaries(st.text(max_size=9), st.text(max_size=9)))
def test_every_exception_has_a_description(message, extra):
    exception = pb.Exception(message=message.replace("\0", ""), extra=extra)
    assert describe(exception)
    assert guess_group(exception) in ("", *GROUPS)
