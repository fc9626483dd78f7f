"""Finding secrets in bytes, and writing `***` in their place.

What is searched, and where the result goes, is not known here.
"""

import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from urllib.parse import quote_from_bytes, unquote_to_bytes

from cli.run.capture import View

MASK = b"***"
EDGE = 4096
"""Most bytes hidden at the beginning of cut text, where half a secret may stand."""

_NAME = (
    rb"(?:passw(?:or)?d|passphrase|passcode|pwd|secret|token|credentials?|"
    rb"(?:api|access|private|auth|account|encryption|signing|master)[-_.]?key)"
)
_QUOTED = rb"""(?:"(?:[^"\\\n]|\\.)*"?|'(?:[^'\\\n]|\\.)*'?)"""
_VALUE = rb"""(?:%b|[^\s"']+)(?:%b|[^\s"',;)}\]][^\s"']*)*""" % (_QUOTED, _QUOTED)
_URL_PASSWORD = rb"://[^\s/?#:@\"']{0,256}:([^\s/\"']{1,1024})@"
_PATTERNS = [
    re.compile(pattern, re.IGNORECASE | re.DOTALL)
    for pattern in (
        rb"""authorization["']?[ \t]{0,4}[:=][ \t]{0,4}["']?([^"'\r\n]+)""",
        rb"""\bbearer[ \t]{1,4}([^\s"',;]+)""",
        rb"""(?:set-)?cookie["']?:[ \t]{0,4}([^"'\r\n]+)""",
        _NAME + rb"""[\w.-]{0,40}["']?[ \t]{0,4}(?::=|=>|=|:)[ \t]{0,4}(""" + _VALUE + rb")",
        rb"(?<![\w-])--?[\w-]{0,40}" + _NAME + rb"[\w-]{0,40}[ \t]{1,4}(?!-)(" + _VALUE + rb")",
        _URL_PASSWORD,
        rb"-----BEGIN[^-\n]{0,40}PRIVATE KEY[^-\n]{0,20}-----(?:.*?-----END[^-\n]{0,60}-----|.*)",
        rb"\A(?:(?!-----BEGIN).)*?-----END[^-\n]{0,40}PRIVATE KEY[^-\n]{0,20}-----",
    )
] + [
    re.compile(pattern)
    for pattern in (
        rb"\b(?:AKIA|ASIA|AROA|AIDA)[A-Z0-9]{16}\b",
        rb"\bkin_[\w-]{8,}",
        rb"\b(?:gh[pousr]|github_pat|glpat|xox[a-z]|sk|rk|pypi|hf)[-_][\w-]{16,}",
        rb"\beyJ[\w-]{6,}\.[\w-]{6,}\.[\w-]*",
    )
]
"""What a secret looks like: its first group, or all of it. All are linear in the text."""

SHORTEST = 4
"""Bytes that the value of a variable must have to count as a secret: `1` is none."""

_SECRET_VARIABLE = re.compile(
    rb"passw|passphrase|passcode|pwd$|secret|token|credential|apikey|accesskey|privatekey|"
    rb"(?:^|_)key(?:$|_)|auth(?!or)|cookie|dsn$|_pat$",
    re.IGNORECASE,
)
_HARMLESS = {b"PWD", b"OLDPWD", b"SSH_AUTH_SOCK", b"XAUTHORITY"}
_SECRET_FLAG = re.compile(rb"--?[\w-]*" + _NAME + rb"[\w-]*", re.IGNORECASE)
_PLAIN = {b"true", b"false", b"none", b"null"}


def secret_values(environment: Mapping[bytes, bytes] = os.environb) -> set[bytes]:
    """What the variables with secret-looking names hold (whole, by line, and as in a URL), and
    the passwords of URLs in any of them.
    """
    values = {
        part
        for name, value in environment.items()
        if _SECRET_VARIABLE.search(name) and name not in _HARMLESS
        for part in (value, value.strip(), *map(bytes.strip, value.splitlines()))
    }
    for value in environment.values():
        values.update(re.findall(_URL_PASSWORD, value))
    values |= {quote_from_bytes(value, safe="").encode() for value in values}
    values |= {unquote_to_bytes(value) for value in values}
    return {value for value in values if len(value) >= SHORTEST and value.lower() not in _PLAIN}


def hidden(views: Iterable[View], values: set[bytes]) -> set[int]:
    """Positions in the whole output that hold secrets, as any of the views shows them."""
    return {
        position
        for view in views
        for start, end in _spans(view, values)
        for position in view.positions[start:end]
    }


def redacted(view: View, hidden: set[int]) -> bytes:
    """The view's bytes with one mask for each stretch of hidden ones."""
    return b"".join(
        MASK if is_hidden else bytes(byte for _, byte in stretch)
        for is_hidden, stretch in groupby(
            zip(view.positions, view.text, strict=True), key=lambda pair: pair[0] in hidden
        )
    )


def masked(text: bytes, values: set[bytes]) -> bytes:
    """The text with its secrets masked."""
    view = View.of(text)
    return redacted(view, hidden([view], values))


def masked_words(words: Sequence[bytes], values: set[bytes]) -> list[bytes]:
    """The words of a command, each masked, and whole after a flag such as `--password`."""
    return [
        MASK if _SECRET_FLAG.fullmatch(before) and word[:1] != b"-" else masked(word, values)
        for before, word in zip([b"", *words], words, strict=False)
    ]


def _spans(view: View, values: set[bytes]) -> Iterator[tuple[int, int]]:
    for pattern in _PATTERNS:
        for match in pattern.finditer(view.text):
            yield match.span(match.lastindex or 0)
    for value in values:
        yield from (match.span() for match in re.finditer(re.escape(value), view.text))
    if view.cut:
        newline = view.text.find(b"\n", 0, EDGE)
        yield 0, newline if newline >= 0 else min(EDGE, len(view.text))
