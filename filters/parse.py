"""Text to syntax tree: the grammar, and the node of ast.py that is made of each of its rules.

Knows no fields and no types: whatever is well-formed is accepted here.
"""

from importlib.resources import files
from re import Match
from typing import Any

from filters import literals
from filters.ast import And, Call, Comparison, Expression, Literal, Member, Not, Or
from filters.errors import FilterSyntaxError, quote
from filters.lalr import Parser

MOST_BYTES = 16 * 1024

_WHITESPACE = " \t\r\n"


def parse(text: str) -> Expression:
    """The syntax tree of a filter; of an empty one, `And(())`.

    >>> parse("run = r1").value
    Literal(text='r1', offset=6, quoted=False, wildcards=())

    Raises FilterSyntaxError, for more than 16 KiB of UTF-8, 64 levels or 500 terms too.
    """
    _check_characters(text)
    tree: Expression = _PARSER.parse(text.rstrip(_WHITESPACE))
    return tree


def _check_characters(text: str) -> None:
    if "\0" in text:
        raise FilterSyntaxError("a NUL character can't stand in a filter", text.index("\0"))
    try:
        encoded = text.encode()
    except UnicodeEncodeError as error:
        message = "half a surrogate pair can't stand in a filter"
        raise FilterSyntaxError(message, error.start) from None
    if len(encoded) > MOST_BYTES:
        fitting = len(encoded[:MOST_BYTES].decode(errors="ignore"))
        raise FilterSyntaxError(f"the filter is longer than {MOST_BYTES // 1024} KiB", fitting)


class Builder:
    """Makes a node of each rule of the grammar, given what its parts matched or were made into."""

    def start(self, parts: list[Any]) -> Expression:
        return And(()) if not parts or type(parts[-1]) is Match else parts[-1]

    def conjunction(self, parts: list[Any]) -> Expression:
        return And(_joined(parts, And))

    def disjunction(self, parts: list[Any]) -> Expression:
        return Or(_joined(parts, Or))

    def negation(self, parts: list[Any]) -> Expression:
        return Not(parts[1], parts[0].start())

    def composite(self, parts: list[Any]) -> Expression:
        inner: Expression = parts[1]
        return inner

    def literal(self, parts: list[Any]) -> Literal | Member:
        return literals.operand(parts[0])

    def comparison(self, parts: list[Any]) -> Comparison:
        left, operator, right = parts
        field = literals.member(left) if type(left) is Match else left
        value = literals.operand(right) if type(right) is Match else right
        sign = operator[0].strip()
        return Comparison(field, sign, value, operator.start() + operator[0].index(sign))

    def function(self, parts: list[Any]) -> Call:
        name = parts[0]
        if name[0][0] in "-\"'":
            message = f"{quote(name[0])} is no function's name"
            raise FilterSyntaxError(message, name.start(), literals.BETWEEN)
        return Call(name[0], parts[2] if len(parts) == 4 else (), name.start())

    call = function

    def arguments(self, parts: list[Any]) -> tuple[Expression, ...]:
        return (parts[0],) if len(parts) == 1 else (*parts[0], parts[2])


def _joined(parts: list[Any], kind: type[And | Or]) -> tuple[Expression, ...]:
    """The terms on both sides; what is joined in the same way already is not nested."""
    left, _, right = parts
    before = left.terms if type(left) is kind else (left,)
    after = right.terms if type(right) is kind else (right,)
    return (*before, *after)


_PARSER = Parser(files("filters").joinpath("grammar.lark").read_text(encoding="utf-8"), Builder())
