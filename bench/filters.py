"""How fast filters are parsed, checked and compiled, cold and cached.

The baselines: the AIP's grammar as it stands through Lark's own lexer, tree and Transformer, and
sqlalchemy-aip160 end to end, where it can be imported (it needs Python 3.13).
"""

import time
from collections.abc import Callable, Iterator, Sequence
from importlib import import_module
from importlib.resources import files
from importlib.util import find_spec
from statistics import median
from typing import Any

import sqlalchemy as sa
from lark import Lark, Transformer
from sqlalchemy.dialects import postgresql
from sqlalchemy.orm import declarative_base

import filters
from bench.measure import Row, Subject, interleaved, row
from filters.ast import And, Call, Comparison, Expression, Member, Not, Or
from filters.check import check
from filters.compile_sql import where
from filters.literals import plain_literal, quoted_literal
from filters.predicate import message_test

SECONDS = 0.1
TWICE, FIVE_TIMES = 2.0, 5.0
CACHED_GOAL = 15.0
"""Microseconds."""

TEXTS = {
    "short": 'state = "PENDING" AND automation = "my-automation-id"',
    "medium": '(state = "PENDING" OR state = "ARCHIVED") AND create_time > "2025-01-01T00:00:00Z"'
    ' AND NOT message:"timeout"',
    "60 terms": " AND ".join(f'k{number} = "value {number}"' for number in range(60)),
    "quoted": r"""message = "It said \"disk full\" in C:\\logs" OR message:'a \'quoted\' word'"""
    r' OR message = "Traceback (most recent call last)*"',
    "20 levels": "(" * 20 + 'state = "PENDING"' + ")" * 20,
}

EBNF = r"""
start: [expression]
expression: sequence (_AND sequence)*
sequence: factor factor*
factor: term (_OR term)*
term: [NOT | MINUS] simple
simple: restriction | composite
restriction: comparable [comparator arg]
comparable: member | function
function: member "(" [arguments] ")"
member: value ("." field)*
comparator: LESS_EQUALS | LESS_THAN | GREATER_EQUALS | GREATER_THAN | NOT_EQUALS | EQUALS | HAS
composite: "(" expression ")"
value: TEXT | STRING
field: value
arguments: arg ("," arg)*
arg: comparable | composite
LESS_EQUALS: "<="
LESS_THAN: "<"
GREATER_EQUALS: ">="
GREATER_THAN: ">"
NOT_EQUALS: "!="
EQUALS: "="
HAS: ":"
_AND: "AND"
_OR: "OR"
NOT: "NOT"
MINUS: "-"
TEXT: /[^\s.,()"'<>=!:\\-][^\s.,()"'<>=!:\\]*/
STRING: /"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'/
%ignore /\s+/
"""


class PlainTransformer(Transformer[Any, Any]):
    """Makes the nodes that filters.parse makes, out of Lark's tree."""

    def start(self, children: list[Any]) -> Expression:
        return And(()) if children[0] is None else children[0]

    def expression(self, children: list[Any]) -> Any:
        return children[0] if len(children) == 1 else And(tuple(children))

    sequence = expression

    def factor(self, children: list[Any]) -> Any:
        return children[0] if len(children) == 1 else Or(tuple(children))

    def term(self, children: list[Any]) -> Any:
        negation, simple = children
        return simple if negation is None else Not(simple, negation.start_pos)

    def simple(self, children: list[Any]) -> Any:
        return children[0]

    composite = arg = comparable = value = field = comparator = simple

    def restriction(self, children: list[Any]) -> Any:
        left, operator, right = children
        if operator is None:
            return _literal(left)
        return Comparison(left, str(operator), _literal(right), operator.start_pos)

    def function(self, children: list[Any]) -> Any:
        member, arguments = children
        return Call(".".join(member.names), tuple(map(_literal, arguments or ())), member.offset)

    def arguments(self, children: list[Any]) -> list[Any]:
        return children

    def member(self, tokens: list[Any]) -> Any:
        first = tokens[0]
        if first[0] in "\"'":
            return quoted_literal(first[1:-1], first.start_pos)
        return Member(tuple(map(str, tokens)), tuple([token.start_pos for token in tokens]))


def _literal(node: Any) -> Any:
    return plain_literal(".".join(node.names), node.offset) if type(node) is Member else node


GRAMMAR = files("filters").joinpath("grammar.lark").read_text(encoding="utf-8")

TABLE = sa.Table(
    "things",
    sa.MetaData(),
    sa.Column("id", sa.BigInteger, primary_key=True),
    *[sa.Column(name, sa.Text) for name in ("state", "automation", "message")],
    *[sa.Column(f"k{number}", sa.Text) for number in range(60)],
    sa.Column("create_time", sa.DateTime(timezone=True)),
)
SCHEMA = filters.Schema(
    create_time=filters.Timestamp(TABLE.c.create_time),
    **{column.name: filters.Text(column) for column in TABLE.c if isinstance(column.type, sa.Text)},
)


def run() -> list[Row]:
    """Times each text in each step, as calls a second; the cached call in microseconds."""
    return [line for name, text in TEXTS.items() for line in _rows(name, text)]


def _rows(name: str, text: str) -> Iterator[Row]:
    plain, transformer = Lark(EBNF, parser="lalr"), PlainTransformer()
    on_grammar = Lark(GRAMMAR, parser="lalr", keep_all_tokens=True, maybe_placeholders=False)
    parsed = filters.parse(text)
    checked = check(parsed, SCHEMA)
    if transformer.transform(plain.parse(text)) != parsed:
        raise AssertionError(f"the baseline parses {name} to something else")
    subjects = {
        "parse": _rate(lambda: filters.parse(text)),
        "plain Lark": _rate(lambda: transformer.transform(plain.parse(text))),
        "its tree only, of grammar.lark": _rate(lambda: on_grammar.parse(text)),
        "check": _rate(lambda: check(parsed, SCHEMA)),
        "to SQL": _rate(lambda: where(checked.condition)),
        "to a predicate": _rate(lambda: message_test(checked.condition)),
        "all": _rate(lambda: where(check(filters.parse(text), SCHEMA).condition)),
        "all, cached": _rate(lambda: filters.compile_sql(text, SCHEMA)),
    }
    if find_spec("sqlalchemy_aip160"):
        subjects |= _both_to_the_end(text)
    rates = interleaved(subjects)
    yield row(f"parse {name}", "1/s", rates["parse"], rates["plain Lark"], TWICE)
    tree = rates["its tree only, of grammar.lark"]
    yield row(f"parse {name}, grammar.lark to tree", "1/s", rates["parse"], tree)
    for step in ("check", "to SQL", "to a predicate"):
        yield _alone(f"{step} {name}", rates[step])
    if theirs := rates.get("sqlalchemy-aip160"):
        yield row(f"all of {name}", "1/s", rates["all"], theirs, FIVE_TIMES)
        yield row(f"all of {name}, in a select", "1/s", rates["in a select"], theirs)
        compiled, theirs = rates["compiled"], rates["sqlalchemy-aip160, compiled"]
        yield row(f"all of {name}, select compiled", "1/s", compiled, theirs)
    else:
        yield _alone(f"all of {name}", rates["all"])
    yield _cached(f"all of {name}, cached", rates["all, cached"])


def _rate(call: Callable[[], object]) -> Subject:
    """How often a second it can be called."""

    def measure() -> float:
        # The processor's time: these are calculations, and others may want the processor too.
        count, begun = 0, time.process_time()
        while (taken := time.process_time() - begun) < SECONDS:
            call()
            count += 1
        return count / taken

    return measure


def _alone(name: str, rates: Sequence[float]) -> Row:
    value = round(median(rates), 1)
    return Row(name=name, value=value, unit="1/s", baseline=None, ratio=None, goal=None, met=None)


def _cached(name: str, rates: Sequence[float]) -> Row:
    value = round(1e6 / median(rates), 1)
    met = value <= CACHED_GOAL
    return Row(
        name=name, value=value, unit="µs", baseline=None, ratio=None, goal=CACHED_GOAL, met=met
    )


def _both_to_the_end(text: str) -> dict[str, Subject]:
    """Ours and sqlalchemy-aip160 on the same model, to a select and on to its SQL.

    Theirs answers with a select only; that of "all" has to be compared with it too.
    """
    apply_filter = import_module("sqlalchemy_aip160").apply_filter
    model = type("Thing", (declarative_base(),), {"__table__": TABLE})
    query: sa.Select[Any] = sa.select(model)
    dialect = postgresql.dialect()  # type: ignore[no-untyped-call]

    def ours() -> sa.Select[Any]:
        return query.where(where(check(filters.parse(text), SCHEMA).condition))

    def theirs() -> sa.Select[Any]:
        return apply_filter(query, model, text)  # type: ignore[no-any-return]

    return {
        "in a select": _rate(ours),
        "sqlalchemy-aip160": _rate(theirs),
        "compiled": _rate(lambda: ours().compile(dialect=dialect).params),
        "sqlalchemy-aip160, compiled": _rate(lambda: theirs().compile(dialect=dialect).params),
    }


if __name__ == "__main__":
    for line in run():
        print(" ".join(f"{key}={value}" for key, value in line.items()))
