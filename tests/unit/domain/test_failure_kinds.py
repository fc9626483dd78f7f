"""What is recognised in messages."""

import pytest

from server.domain.failure_kinds import error_type, headline, http_status, kind_of

PYTHON = """Traceback (most recent call last):
  File "/srv/sum.py", line 3, in <module>
    total = row["total"]
KeyError: 'total'
"""
JAVA = """com.acme.BatchFailed: batch 7
\tat com.acme.Batch.run(Batch.java:12)
Caused by: java.lang.IllegalStateException: no rate
\tat com.acme.Rate.of(Rate.java:3)
Caused by: java.net.ConnectException: Connection refused
"""


@pytest.mark.parametrize(
    ("message", "label"),
    [
        (PYTHON, "missing_value"),
        (JAVA, "unreachable"),
        ("psql: error: FATAL: password authentication failed", "unauthenticated"),
        ("Back-off pulling image: ImagePullBackOff", "missing_package"),
        ("curl: (6) Could not resolve host: a.example", "unknown_host"),
        ("curl: (28) Operation timed out after 30001 milliseconds", "timeout"),
        ("Container worker was OOMKilled", "out_of_memory"),
        ("write failed: No space left on device", "disk_full"),
        ("HTTP 429 Too Many Requests", "rate_limited"),
        ("x509: certificate has expired", "certificate"),
        ("ERROR: deadlock detected", "lock_conflict"),
        ("fatal: repository not found: 403 Forbidden", "forbidden"),
        ("Your card was declined.", "declined"),
        ("upstream answered 503", "unavailable"),
        ("duplicate key value violates unique constraint", "duplicate"),
        ('relation "invoices" does not exist', "schema"),
        ("FileNotFoundError: orders.csv", "missing_file"),
        ("404 Client Error: Not Found", "not_found"),
        ("ValueError: could not convert string to float", "bad_value"),
        ("AssertionError", "program_error"),
    ],
)
def test_a_kind_is_recognised_by_its_words(message, label):
    kind = kind_of(message)
    assert kind is not None
    assert kind.label == label


def test_an_unknown_failure_is_of_no_kind():
    assert kind_of("the dog ate the invoice") is None


def test_the_headline_counts_more_than_what_stands_around_it():
    kind = kind_of("disk full\n  while closing\nconnection refused")
    assert kind is not None
    assert kind.label == "disk_full"


@pytest.mark.parametrize(
    ("message", "line"),
    [
        (PYTHON, "KeyError: 'total'"),
        (JAVA, "java.net.ConnectException: Connection refused"),
        ("\n\n  first\nsecond", "first"),
        (" \n", ""),
        ("Traceback (most recent call last)\n  only indented", "Traceback (most recent call last)"),
    ],
)
def test_the_headline_is_the_line_that_says_what_went_wrong(message, line):
    assert headline(message) == line


def test_the_end_of_a_long_message_is_looked_at():
    assert error_type("x\n" * 30_000 + "java.lang.IllegalStateException: no") == (
        "IllegalStateException"
    )


def test_types_and_statuses_are_found_where_there_are_some():
    assert (error_type(PYTHON), http_status(PYTHON)) == ("KeyError", "")
    assert (error_type("HTTP/1.1 502 Bad Gateway"), http_status("HTTP/1.1 502")) == ("", "502")
