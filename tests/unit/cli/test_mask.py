"""No secret leaves the machine, whatever it looks like and wherever it stands."""

import time

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from cli.run import mask
from cli.run.capture import Capture, View

PEM = b"-----BEGIN RSA PRIVATE KEY-----\nMIIEow\nIBAAKC\n-----END RSA PRIVATE KEY-----"


def masked(text: bytes, **environment: str) -> bytes:
    variables = {name.encode(): value.encode() for name, value in environment.items()}
    return mask.masked(text, mask.secret_values(variables))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"password=hunter2 user=ada", b"password=*** user=ada"),
        (b"db_password = 'hunter 2', x", b"db_password = ***, x"),
        (b'{"api_key": "k-123", "n": 1}', b'{"api_key": ***, "n": 1}'),
        (b"{'token':'abc','n':1}", b"{'token':***,'n':1}"),
        (b"login(password=b'it s', n=1)", b"login(password=***, n=1)"),
        (b"X-Api-Key: k-123\nnext", b"X-Api-Key: ***\nnext"),
        (b"token := abc", b"token := ***"),
        (b"AWS_SECRET_ACCESS_KEY=wJalr/XUt+nFEMI\n", b"AWS_SECRET_ACCESS_KEY=***\n"),
        (b"Authorization: Bearer abc.def", b"Authorization: ***"),
        (b"{'Authorization': 'Basic dTpw'}", b"{'Authorization': '***'}"),
        (b"sent bearer abc.def-ghi now", b"sent bearer *** now"),
        (b"Set-Cookie: sid=1; Path=/\r\n", b"Set-Cookie: ***\r\n"),
        (b"job --password hunter2 -v", b"job --password *** -v"),
        (b"postgresql://ada:hun@ter2@db/x", b"postgresql://ada:***@db/x"),
        (b"redis://:hunter2@db:6379", b"redis://:***@db:6379"),
        (b"key:\n" + PEM + b"\nend", b"key:\n***\nend"),
        (b"IBAAKC\n-----END PRIVATE KEY-----\nend", b"***\nend"),
        (b"use AKIAIOSFODNN7EXAMPLE here", b"use *** here"),
        (b"got kin_abcDEF123_456-789.", b"got ***."),
        (b"remote ghp_0123456789abcdefghij", b"remote ***"),
        (b"jwt eyJhbGciOi.eyJzdWIiOi.c2lnbmF0", b"jwt ***"),
    ],
)
def test_what_looks_like_a_secret_is_masked(text: bytes, expected: bytes) -> None:
    assert masked(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        b"KeyError: 'total'",
        b"Password:\nlogin failed",
        b"new-token\nlogin failed",
        b"billing-token expired",
        b"KeyError: 'token'",
        b"SyntaxError: Unexpected token '<', \"<!DOCTYPE \"... is not valid JSON",
        b"GET http://127.0.0.1:8080/api?mail=a@b.c",
        b'File "/home/ada/tokenizer.py", line 3, in parse',
        b"-----BEGIN CERTIFICATE-----\nMII\n-----END CERTIFICATE-----",
    ],
)
def test_what_only_sounds_like_a_secret_stays_readable(text: bytes) -> None:
    assert masked(text) == text


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("DB_PASSWORD", "correct horse", "login correct horse failed"),
        ("GITHUB_TOKEN", "t0psecret", "as t0psecret"),
        ("STRIPE_KEY", "abcd1234", "abcd1234"),
        ("KEY", "abcd1234", "abcd1234"),
        ("MYSQL_PWD", "s3same", "s3same"),
        ("API_TOKEN", "a/b+c", "https://x/?q=a%2Fb%2Bc"),
        ("SSH_PRIVATE_KEY", "line-one\nline-two", "has line-two inside"),
        ("DATABASE_URL", "postgres://ada:s3same@db/x", "wrong password s3same"),
    ],
)
def test_values_of_variables_with_secret_names_are_masked(name: str, value: str, text: str) -> None:
    shown = masked(text.encode(), **{name: value})
    assert b"***" in shown
    assert all(line.encode() not in shown for line in value.splitlines())


@pytest.mark.parametrize(
    ("name", "value"),
    [("PWD", "/srv/job"), ("GIT_AUTHOR_NAME", "Ada L"), ("USE_TOKEN", "1"), ("AUTH", "true")],
)
def test_harmless_variables_leave_the_output_alone(name: str, value: str) -> None:
    text = f"at {value}.".encode()
    assert masked(text, **{name: value}) == text


secrets = st.text(
    st.characters(codec="utf-8", exclude_categories=["Cs", "Zs", "Cc"]), min_size=4, max_size=40
)


@given(before=st.text(max_size=40), secret=secrets, after=st.text(max_size=40))
def test_the_value_of_a_secret_variable_never_survives(
    before: str, secret: str, after: str
) -> None:
    assume(secret.lower() not in ("true", "false", "none", "null"))
    assume(set(secret) != {"*"})
    values = mask.secret_values({b"APP_SECRET": secret.encode()})
    shown = mask.masked(f"{before}{secret}{after}".encode(), values)
    assert secret.encode() not in shown.replace(b"***", b"\n")


@given(st.binary(max_size=300))
def test_any_bytes_can_be_masked(text: bytes) -> None:
    assert len(masked(text, APP_SECRET="abcd")) <= len(text) + 3 * len(text)


@given(secret=secrets, cuts=st.lists(st.integers(0, 40), max_size=4))
def test_a_secret_is_found_although_the_other_stream_came_in_between(
    secret: str, cuts: list[int]
) -> None:
    assume(secret.lower() not in ("true", "false", "none", "null"))
    data, capture, last = secret.encode(), Capture(), 0
    for cut in [*sorted(min(cut, len(data)) for cut in cuts), len(data)]:
        capture.add_stderr(data[last:cut]) if data[last:cut] else None
        capture.add_stdout(b"\n")
        last = cut
    values = mask.secret_values({b"APP_SECRET": data})
    hidden = mask.hidden([capture.stdout(), capture.stderr(), capture.both()], values)
    assert mask.redacted(capture.both(), hidden).replace(b"***", b"").strip() == b""


def test_half_a_secret_at_the_edge_of_what_is_kept_is_hidden() -> None:
    view = View(b"ter2 and so on\nnext", View.of(b"x" * 19).positions, cut=True)
    hidden = mask.hidden([view], set())
    assert mask.redacted(view, hidden) == b"***\nnext"


def test_words_after_secret_flags_are_masked() -> None:
    words = [b"job", b"--password", b"it's", b"--api-key=k 1", b"--token", b"-v", b"PGPASSWORD=x"]
    expected = [b"job", b"--password", b"***", b"--api-key=*** 1", b"--token", b"-v"]
    assert mask.masked_words(words, set()) == [*expected, b"PGPASSWORD=***"]


@pytest.mark.parametrize(
    "text",
    [
        b"a" * 65536,
        b"-" * 65536,
        b"password" * 8192,
        b"token=" * 10000,
        b"'" * 65536,
        b"://a:" * 13000,
        b"-----BEGIN PRIVATE KEY-----" * 2400,
        b"secret=\\" * 8000,
        b'pwd="\\' * 10000,
        b"eyJaaaaaaaa" * 6000,
    ],
)
def test_masking_takes_no_longer_than_a_person_would_wait(text: bytes) -> None:
    begin = time.monotonic()
    masked(text, APP_SECRET="abcd")
    assert time.monotonic() - begin < 10
