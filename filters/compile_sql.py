"""Condition to SQLAlchemy: one boolean expression for PostgreSQL, every value a bound parameter.

It is TRUE or FALSE on every row, never NULL. On NOT NULL columns the comparisons are bare, so that
indexes serve them.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from itertools import chain
from typing import Any, TypeAlias

from sqlalchemy import BindParameter, Boolean, ColumnElement, FromClause, Text
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.visitors import InternalTraversal
from sqlalchemy.types import TypeEngine

from filters.caching import cached_by_text
from filters.check import check
from filters.conditions import (
    All,
    AnyOf,
    Comparison,
    Condition,
    Contains,
    Equal,
    IsSet,
    Like,
    Negation,
    Ordered,
)
from filters.fields import is_nullable
from filters.parse import parse
from filters.schema import Schema
from filters.strings import Map

Parts: TypeAlias = list[ColumnElement[Any]]

_TEXT = Text()


@dataclass(frozen=True, slots=True)
class SqlFilter:
    """A compiled filter: what goes into a statement, and the paths of the fields it looks at.

    Only the empty filter, which matches everything, looks at none.
    """

    where: ColumnElement[bool]
    fields: frozenset[str]


@cached_by_text
def compile_sql(text: str, schema: Schema) -> SqlFilter:
    """The SQL of a filter on the columns of a schema.

    >>> select(table).where(compile_sql("state = PENDING", schema).where)

    Raises FilterSyntaxError and FilterTypeError.
    """
    checked = check(parse(text), schema)
    return SqlFilter(where(checked.condition), checked.fields)


class Formula(ColumnElement[bool]):
    """SQL with columns and parameters in it, one for each `{}` of the template.

    It is one element, because SQLAlchemy compiles `and_` and `or_` by recursion, for which a filter
    of 64 levels is too deep. (It also takes a third of the time.)
    """

    _traverse_internals = [  # noqa: RUF012  # as SQLAlchemy has it
        ("template", InternalTraversal.dp_string),
        ("parts", InternalTraversal.dp_clauseelement_list),
    ]
    type = Boolean()

    def __init__(self, template: str, parts: Parts) -> None:
        self.template = template
        self.parts = parts

    @property
    def _from_objects(self) -> list[FromClause]:
        of_each = [part._from_objects for part in self.parts]  # noqa: SLF001
        return list(chain.from_iterable(of_each))


@compiles(Formula)
def _compile_formula(element: Formula, compiler: Any, **options: Any) -> str:
    parts = [compiler.process(part, **options) for part in element.parts]
    return element.template.format(*parts)


def where(condition: Condition) -> ColumnElement[bool]:
    """The condition as SQL."""
    parts: Parts = []
    template = _write(condition, parts)
    return Formula(f"({template})", parts)


def _write(condition: Condition, parts: Parts) -> str:
    """The template of a condition, fit to stand beside AND, OR and NOT; what fills it is added."""
    match condition:
        case All():
            return _join(" AND ", [_write(part, parts) for part in condition.parts]) or "true"
        case AnyOf():
            return _join(" OR ", [_write(part, parts) for part in condition.parts]) or "false"
        case Negation():
            return f"(NOT {_write(condition.part, parts)})"
        case IsSet(operand) if operand.key is None:
            parts += operand.columns
            return _join(" OR ", ["{} IS NOT NULL"] * len(operand.columns)) or "false"
        case _:
            return _write_comparison(condition, parts)


def _join(connective: str, templates: list[str]) -> str:
    joined = connective.join(templates)
    return f"({joined})" if len(templates) > 1 else joined


def _write_comparison(condition: Comparison, parts: Parts) -> str:
    """A comparison, made TRUE or FALSE where its column is NULL."""
    operand = condition.operand
    column = operand.columns[0]
    if operand.key is not None:
        return _write_in_map(condition, column, operand.key, parts)
    parts.append(column)
    test = _TESTS[type(condition)](condition, "{}", parts)
    if not is_nullable(column):
        return test
    parts.append(column)
    if operand.default is not None and condition.holds_for(operand.default):
        return f"({test} OR {{}} IS NULL)"
    return f"({test} AND {{}} IS NOT NULL)"


def _write_in_map(condition: Comparison, column: ColumnElement[Any], key: str, parts: Parts) -> str:
    """A comparison of what stands under a key, FALSE where nothing does."""
    match condition:
        case Equal(_, (value,)):
            entry = json.dumps({key: value}, ensure_ascii=False)
            test, looked_at = f"{{}} @> {Map.placeholder}", [column, _parameter(_TEXT, entry)]
        case IsSet():
            test, looked_at = "{} ? {}", [column, _parameter(_TEXT, key)]
        case _:
            subject, looked_at = "({} ->> {})", [column, _parameter(_TEXT, key)]
            parts += looked_at
            test = _TESTS[type(condition)](condition, subject, parts)
            parts += looked_at
            return f"({test} AND {subject} IS NOT NULL)"
    parts += looked_at
    if not is_nullable(column):
        return test
    parts.append(column)
    return f"({test} AND {{}} IS NOT NULL)"


def _equal(condition: Equal, subject: str, parts: Parts) -> str:
    field, values = condition.operand.field, condition.values
    parts += [_parameter(field.sql_type, field.to_sql(value)) for value in values]
    place = field.placeholder
    if len(values) == 1:
        return f"{subject} = {place}"
    return f"{subject} IN ({', '.join([place] * len(values))})"


def _ordered(condition: Ordered, subject: str, parts: Parts) -> str:
    field, value = condition.operand.field, condition.value
    parts.append(_parameter(field.sql_type, field.to_sql(value)))
    collation = ' COLLATE "C"' if isinstance(value, str) else ""
    return f"{subject}{collation} {condition.operator} {{}}"


def _like(condition: Like, subject: str, parts: Parts) -> str:
    parts.append(_parameter(_TEXT, "%".join([_escape(each) for each in condition.pieces])))
    return f"{subject} LIKE {{}} ESCAPE '/'"


def _contains(condition: Contains, subject: str, parts: Parts) -> str:
    parts.append(_parameter(_TEXT, f"%{_escape(condition.text)}%"))
    return f"lower({subject}) LIKE lower({{}}) ESCAPE '/'"


_TESTS: dict[type, Callable[[Any, str, Parts], str]] = {
    Equal: _equal,
    Ordered: _ordered,
    Like: _like,
    Contains: _contains,
}
"""For each comparison with a value, what writes it with a subject, and adds the parameters."""


def _parameter(kind: TypeEngine[Any], value: Any) -> BindParameter[Any]:
    return BindParameter(None, value, kind, True)  # noqa: FBT003


def _escape(text: str) -> str:
    return text.replace("/", "//").replace("%", "/%").replace("_", "/_")
