"""Says what is wrong with a text that is not a filter, and what to write instead.

Called with the place where the parser stopped; no well-formed filter comes by here.
"""

import re
from collections.abc import Collection

from filters.errors import FilterSyntaxError, quote
from filters.literals import BETWEEN, STRING

_WORD = re.compile(r"(AND|OR|NOT|and|or|not)(?![^\s.,()\"'<>=!:\\\[\]{}&|\x00-\x1f\x7f-\x9f])")
_FRACTION = re.compile(r"\.[0-9]{1,20}(?![0-9])")
_CONTAINS = re.compile(r"\scontains\([^()]*\Z")
_WHITESPACE = " \t\r\n"

_COMPARISONS = "the comparisons are = != < <= > >= :"
_INSTEAD = {
    "&&": "write AND",
    "&": "write AND, or put the text in quotes",
    "||": "write OR",
    "|": "write OR, or put the text in quotes",
    "!": "write NOT before a condition, != after a field",
    ",": "write OR between values, AND between conditions, or put the text in quotes",
    ":": "put a value with ':' in quotes",
    ")": "something is missing before it",
}


def explain(text: str, offset: int, expected: Collection[str]) -> FilterSyntaxError:
    """The error for a text that is fine up to an offset, where one of `expected` had to follow."""
    offset += len(text[offset:]) - len(text[offset:].lstrip(_WHITESPACE))
    rest = text[offset : offset + 2]
    term, value = "MEMBER" in expected, "ARGUMENT" in expected
    word = _WORD.match(text, offset)
    if not rest:
        return _ended(offset, operand=term or value)
    if word and (term or value):
        return _keyword(text, word, expected)
    if word and text[offset - 1] not in _WHITESPACE:
        message = f"{quote(rest[0])} can't stand here"
        return FilterSyntaxError(message, offset, "put a space on both sides of AND, OR and NOT")
    if rest[0] in "\"'":
        return _quoted(text, offset, expected)
    if rest in ('."', ".'") and not (term or value) and not STRING.match(text, offset + 1):
        return _quoted(text, offset + 1, expected)
    return _character(text, offset, expected)


def _ended(offset: int, *, operand: bool) -> FilterSyntaxError:
    message = "a value is missing at the end" if operand else "the filter ends too early"
    return FilterSyntaxError(message, offset, 'an empty value is written ""' if operand else "")


def _keyword(text: str, word: re.Match[str], expected: Collection[str]) -> FilterSyntaxError:
    after = text[word.end() : word.end() + 1]
    if after and after in "(\"'":
        hint = f"put a space after {word[0]}"
    elif "ARGUMENT" in expected:
        hint = f'as a value it is written "{word[0]}"'
    elif after in ("", ")"):
        hint = "a condition is missing after it"
    elif after in "=<>!:.":
        hint = f'the word itself is written "{word[0]}"'
    elif after.isspace() and after not in _WHITESPACE:
        hint = f"write an ordinary space after {word[0]}"
        return FilterSyntaxError(f"{quote(after)} can't stand here", word.end(), hint)
    elif after not in _WHITESPACE:
        return _character(text, word.end(), expected)
    elif word[0] in ("NOT", "not"):
        hint = "one negation is enough"
    else:
        hint = f'a condition is missing before it; the word itself is written "{word[0]}"'
    return FilterSyntaxError(f"{word[0]} is a keyword and can't stand here", word.start(), hint)


def _quoted(text: str, offset: int, expected: Collection[str]) -> FilterSyntaxError:
    if not STRING.match(text, offset):
        return FilterSyntaxError("this quote is never closed", offset)
    hint = _between(text, offset, expected)
    return FilterSyntaxError("a quote can't begin right here", offset, hint)


def _character(text: str, offset: int, expected: Collection[str]) -> FilterSyntaxError:
    rest = text[offset : offset + 2]
    term = "MEMBER" in expected
    if term and rest.strip(_WHITESPACE) == "-":
        hint = "write it right before what it negates"
        return FilterSyntaxError("this '-' stands alone", offset, hint)
    if rest[0] in "=<>" or (rest[0] == ":" and term):
        hint = "a field is missing before it" if term else _COMPARISONS
    elif rest[0] == ".":
        hint = _dot(text, offset, expected)
    elif rest[0] == "-" and term:
        hint = "one negation is enough"
    elif not rest[0].isprintable() or rest[0] in "\\[]{}":
        hint = "put the text in quotes"
    else:
        hint = _INSTEAD.get(rest) or _INSTEAD.get(rest[0]) or _between(text, offset, expected)
    return FilterSyntaxError(f"{quote(rest[0])} can't stand here", offset, hint)


def _dot(text: str, offset: int, expected: Collection[str]) -> str:
    term, value = "MEMBER" in expected, "ARGUMENT" in expected
    fraction = _FRACTION.match(text, offset)
    if fraction and (term or value):
        return f"write 0{fraction[0]}"
    # After a value may stand a parenthesis, like after a field, but no comparison.
    after_value = not term and "LPAREN" in expected and "COMPARATOR" not in expected
    if value or after_value:
        return "put the text in quotes"
    return "a '.' stands between two names, without spaces"


def _between(text: str, offset: int, expected: Collection[str]) -> str:
    if "COMMA" not in expected or "WS" in expected:
        return BETWEEN
    if _CONTAINS.search(text, 0, offset):
        return "put a space after contains"
    return "put a comma between two arguments"
