"""Which messages count as the same failure."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.domain.fingerprint import SIZE, fingerprint, masked

VARYING = {
    "uuid": st.uuids().map(str),
    "number": st.integers(0, 10**12).map(str),
    "decimal": st.decimals(0, 10**6, places=2).map(str),
    "hexadecimal": st.integers(0, 2**64).map(hex),
    "time": st.datetimes().map(lambda time: time.replace(year=2026).isoformat()),
    "ip": st.ip_addresses(v=4).map(str),
    "email": st.from_regex(r"[a-z]{1,9}@[a-z]{1,9}\.(com|org)", fullmatch=True),
    "url": st.from_regex(r"https://[a-z]{2,9}\.com(/[a-z0-9]{1,5}){0,3}", fullmatch=True),
    "path": st.from_regex(r"(/[a-z_]{1,9}){1,4}\.csv", fullmatch=True),
    "windows path": st.from_regex(r"C:(\\[a-z_]{1,9}){1,4}", fullmatch=True),
    "quoted text": st.from_regex(r"'[a-z]{1,9}( [a-z0-9]{1,9}){1,3}'", fullmatch=True),
    "identifier": st.from_regex(r"ord_[0-9][A-Za-z0-9]{5,20}", fullmatch=True),
}


@pytest.mark.parametrize("kind", VARYING)
@given(data=st.data())
def test_what_varies_makes_no_difference(kind, data):
    one, other = data.draw(VARYING[kind]), data.draw(VARYING[kind])
    message = "Export of {} failed: the total is missing"
    assert fingerprint(message.format(one)) == fingerprint(message.format(other))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("KeyError: 'total'", "KeyError: 'currency'"),
        ('column "rate" does not exist', 'column "plan" does not exist'),
        ("HTTP 404 from https://a.example/x", "HTTP 502 from https://a.example/x"),
        ("exit code 1", "exit code 137"),
        ("403 Forbidden", "401 Unauthorized"),
        ("ORA-00942: no", "ORA-01017: no"),
        ("[Errno 2] /a/b", "[Errno 13] /a/b"),
        ("connection refused", "connection reset"),
        ("row 1 is empty", "column 1 is empty"),
        ("", "x"),
    ],
)
def test_different_errors_differ(one, other):
    assert fingerprint(one) != fingerprint(other)


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ('Row 17 of /tmp/a.csv: no "total"', 'row <n> of <path>: no "total"'),
        ("values [1, 2, 3]", "values [<n>]"),
        ("can't open 'x y', isn't there", "can't open <text>, isn't there"),
        ("pod billing-7d9f8b6c5-x2x9z evicted", "pod billing-<n> evicted"),
        ("took 30.5s at Mar 3 10:11:12", "took <n> at <time>"),
        ("\x1b[31mRED\x1b[0m\n  alert", "red alert"),
        ("and/or", "and/or"),
        ("std::bad_alloc on ::1", "std::bad_alloc on <ip>"),
    ],
)
def test_masked_texts_read_as_before(message, expected):
    assert masked(message) == expected


@given(st.text(max_size=300))
def test_every_text_has_one(message):
    assert len(fingerprint(message)) == SIZE


@pytest.mark.timeout(30)
@pytest.mark.parametrize("piece", ["_", "a-", "'", "a/", "a@", "é", ":", "1,", "~", "http://", "<"])
def test_no_message_takes_long(piece):
    assert fingerprint((piece * 65536)[:65536])


@given(st.integers(0, 10**12), st.integers(0, 10**12), st.text(max_size=300))
def test_only_the_beginning_of_a_long_message_counts(one, other, end):
    words = "the total of the invoice is missing " * 1000
    assert fingerprint(f"row {one}: {words}") == fingerprint(f"row {other}: {words}{end}")


def test_what_a_short_message_ends_with_counts():
    words = "the total of the invoice is missing " * 100
    assert fingerprint(words + "here") != fingerprint(words + "there")
