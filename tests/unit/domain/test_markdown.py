"""Quoted text stays what it was, whatever stands in it."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.domain.markdown import quoting


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("KeyError: 'total'", " `KeyError: 'total'`"),
        ("a `b` c", " ``a `b` c``"),
        ("`b`", " `` `b` ``"),
        ("*", " `*`"),
        (" padded ", " `  padded  `"),
        ("two\nlines", "\n\n```\ntwo\nlines\n```"),
        ("```\n# no heading", "\n\n````\n```\n# no heading\n````"),
        ("carriage\rreturn", "\n\n```\ncarriage\rreturn\n```"),
    ],
)
def test_what_is_quoted_cannot_end_the_quotation(text: str, expected: str) -> None:
    assert quoting("Raised", text) == f"Raised:{expected}"


@given(st.text(alphabet="` \n\ra*#<", min_size=1))
def test_a_reader_of_markdown_finds_the_text_again(text: str) -> None:
    assert unquoted(quoting("", text).removeprefix(":").removeprefix(" ")) == text


def unquoted(markdown: str) -> str:
    """As CommonMark says: a fence ends at one as long, a span at a run of as many backticks."""
    if fenced := re.fullmatch(r"\n\n(`{3,})\n(.*?)\n\1", markdown, re.DOTALL):
        fence, text = fenced.groups()
        assert not re.search(rf"^ {{0,3}}{fence}`*\s*$", text, re.MULTILINE)
        return text
    opening = re.match("`+", markdown)
    assert opening
    ticks = opening.group()
    end = re.search(rf"(?<!`){ticks}(?!`)", markdown[len(ticks) :])
    assert end
    assert end.end() + len(ticks) == len(markdown)
    text = markdown[len(ticks) : len(ticks) + end.start()]
    if text.startswith(" ") and text.endswith(" ") and text.strip(" "):
        return text[1:-1]
    return text
