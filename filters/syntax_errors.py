"""Says what is wrong with a text that is not a filter, and what to write instead.

Called with the place where the parser stopped; no well-formed filter comes by here.
"""

import re
from collections.abc import Collection

from filters.errors import FilterSyntaxError, quote

_WORD = re.compile(r"(AND|OR|NOT|and|or|not)(?![^\s.,()\"'<>=!:\\\[\]{}&|\x00-\x1f\x7f-\x9f])")
_STRING = re.compile(r""""[^"\\]*(?:\\.[^"\\]*)*"|'[^'\\]*(?:\\.[^'\\]*)*'""", re.DOTALL)
_WHITESPACE = " \t\r\n"
_BETWEEN = "put a space or AND between two conditions"

_COMPARISONS = "the comparisons are = != < <= > >= :"
_INSTEAD = {
    "&&": "write AND",
    "&": "write AND, or put the text in quotes",
    "||": "write OR",
    "|": "write OR, or put the text in quotes",
    "!": "write NOT before a condition, != after a field",
    "-": "one negation is enough",
    ".": "a '.' stands between two names, without spaces",
    ",": "write OR between values, AND between conditions, or put the text in quotes",
    ":": "put a value with ':' in quotes",
    ")": "something is missing before it",
}


def explain(text: str, offset: int, expected: Collection[str]) -> FilterSyntaxError:
    """The error for a text that is fine up to an offset, where one of `expected` had to follow."""
    offset += len(text[offset:]) - len(text[offset:].lstrip(_WHITESPACE))
    rest = text[offset : offset + 2]
    term, value = "MEMBER" in expected, "ARGUMENT" in expected
    word = _WORD.match(text, offset) if term or value else None
    if not rest:
        return _ended(offset, operand=term or value)
    if word:
        return _keyword(text, word, expected)
    if _WORD.match(text, offset) and text[offset - 1] not in _WHITESPACE:
        message = f"{quote(rest[0])} can't stand here"
        return FilterSyntaxError(message, offset, "put a space on both sides of AND, OR and NOT")
    if rest[0] in "\"'":
        return _quoted(text, offset)
    if term and rest.strip(_WHITESPACE) == "-":
        hint = "write it right before what it negates"
        return FilterSyntaxError("this '-' stands alone", offset, hint)
    if rest[0] in "=<>":
        hint = "a field is missing before it" if term else _COMPARISONS
    elif not rest[0].isprintable() or rest[0] in "\\[]{}":
        hint = "put the text in quotes"
    else:
        hint = _INSTEAD.get(rest) or _INSTEAD.get(rest[0]) or _BETWEEN
    return FilterSyntaxError(f"{quote(rest[0])} can't stand here", offset, hint)


def _ended(offset: int, *, operand: bool) -> FilterSyntaxError:
    message = "a value is missing at the end" if operand else "the filter ends too early"
    return FilterSyntaxError(message, offset, 'an empty value is written ""' if operand else "")


def _keyword(text: str, word: re.Match[str], expected: Collection[str]) -> FilterSyntaxError:
    if text.startswith(("(", '"', "'"), word.end()):
        hint = f"put a space after {word[0]}"
    elif "ARGUMENT" in expected:
        hint = f'as a value it is written "{word[0]}"'
    elif word.end() == len(text):
        hint = "a condition is missing after it"
    elif word[0] in ("NOT", "not"):
        hint = "one negation is enough"
    else:
        hint = f'a condition is missing before it; the word itself is written "{word[0]}"'
    return FilterSyntaxError(f"{word[0]} is a keyword and can't stand here", word.start(), hint)


def _quoted(text: str, offset: int) -> FilterSyntaxError:
    if not _STRING.match(text, offset):
        return FilterSyntaxError("this quote is never closed", offset)
    return FilterSyntaxError("a quote can't begin right here", offset, _BETWEEN)
