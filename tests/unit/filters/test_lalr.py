"""Our loop over the tables takes what Lark's own takes, and builds in the same order."""

import os
import re
from importlib.resources import files

import pytest
from hypothesis import given, settings
from lark import Lark, Transformer
from lark.exceptions import UnexpectedInput

import filters
from filters import literals, syntax_errors
from filters.lalr import Parser
from tests.filters_cases import random_filters, things
from tests.unit.filters.test_fuzz import texts

SOAK = bool(os.environ.get("KINTSUGI_SOAK"))
GRAMMAR = files("filters").joinpath("grammar.lark").read_text(encoding="utf-8")

pytestmark = pytest.mark.timeout(3600 if SOAK else 120)


class Nested:
    """Builds lists of the rule's name and what is in it."""

    def __getattr__(self, rule):
        return lambda parts: [
            rule,
            *(part if isinstance(part, list) else part[0] for part in parts),
        ]


class NestedByLark(Transformer):
    def __default__(self, data, children, meta):
        return [
            str(data),
            *(child if isinstance(child, list) else str(child) for child in children),
        ]


ours = Parser(GRAMMAR, Nested())
larks = Lark(
    GRAMMAR,
    parser="lalr",
    transformer=NestedByLark(),
    keep_all_tokens=True,
    maybe_placeholders=False,
)


def both(text):
    return [answer(parse, text.rstrip(" \t\r\n")) for parse in (ours.parse, larks.parse)]


def answer(parse, text):
    try:
        return parse(text)
    except (filters.FilterSyntaxError, UnexpectedInput):
        return "refused"


def test_the_expressions_elsewhere_are_those_of_the_grammar():
    known = {str(each.name): each.pattern.to_regexp() for each in larks.terminals}
    grammars = re.compile(known["MEMBER"])
    for code in (*range(0x3100), 0xFEFF, 0x1F525):
        after = chr(code)
        is_character = bool(re.fullmatch(known["MEMBER"], f"a{after}a")) and after != "."
        assert (not syntax_errors._WORD.match(f"AND{after}")) == is_character, repr(after)
    for text in ('"', '""', '"a', '"\\"', '"\\""', '"\\\\"', "'\"'", "'\n'", "'\\", "'a'b'"):
        found, expected = (each.match(text) for each in (literals.STRING, grammars))
        assert (found and found[0]) == (expected and expected[0]), text


def test_every_case_is_built_as_lark_builds_it():
    for case in things.cases() + things.bad_cases():
        one, other = both(case.filter)
        assert one == other, case.filter


@settings(max_examples=30_000 if SOAK else 100, deadline=None)
@given(random_filters.filter_texts | texts)
def test_every_text_is_built_as_lark_builds_it(text):
    one, other = both(text)
    assert one == other
