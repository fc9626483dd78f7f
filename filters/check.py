"""Syntax tree and schema to condition.

Every name is found, every value converted and every operator allowed, or refused by an error.
"""

from filters.ast import And, Call, Comparison, Expression, Literal, Member, Not, Or
from filters.conditions import (
    All,
    AnyOf,
    Checked,
    Condition,
    Contains,
    Like,
    Negation,
    Operand,
)
from filters.errors import FilterTypeError, quote
from filters.fields import is_star
from filters.schema import Schema

MOST_SEARCHED = 2000
"""Characters in all texts that are looked for, for the reason of `LONGEST_SEARCHED`."""


def check(expression: Expression, schema: Schema) -> Checked:
    """What a filter means for a resource. Raises FilterTypeError where it means nothing."""
    checker = _Checker(schema)
    condition = checker.condition(expression)
    return Checked(condition, frozenset(checker.fields))


class _Checker:
    def __init__(self, schema: Schema) -> None:
        self._schema = schema
        self._searched = 0
        self.fields: set[str] = set()

    def condition(self, node: Expression) -> Condition:
        match node:
            case Comparison():
                return self._comparison(node)
            case And(terms):
                return All(tuple([self.condition(term) for term in terms]))
            case Or(terms):
                return AnyOf(tuple([self.condition(term) for term in terms]))
            case Not(term):
                return Negation(self.condition(term))
            case Literal():
                return self._search(node)
            case Call():
                raise _no_function(node)
            case Member():
                hint = "add :* to ask whether it is set"
                raise FilterTypeError("a field alone is no condition", node.offset, hint)

    def _search(self, literal: Literal) -> Condition:
        searched = self._schema.searched
        if not searched:
            hint = "compare a field with a value"
            raise FilterTypeError("there is no text to search here", literal.offset, hint)
        self.fields.update(operand.path for operand in searched)
        found = AnyOf(tuple([each.field.contains(each, literal) for each in searched]))
        self._count(len(literal.text), literal)
        return found

    def _comparison(self, node: Comparison) -> Condition:
        field, operator = node.field, node.operator
        if isinstance(field, Call):
            raise _no_function(field)
        operand = self._schema.resolve(field)
        self.fields.add(operand.path)
        known = operand.field.operators
        if operator not in known:
            message = f"{operand.path} can't be compared by {operator}"
            raise FilterTypeError(message, node.operator_offset, f"only by {' '.join(known)}")
        return self._against(field, operand, operator, node.value)

    def _against(
        self, field: Member, operand: Operand, operator: str, value: Expression
    ) -> Condition:
        """The comparison with each literal of a value; `!= (a OR b)` is neither of the two."""
        match value:
            case Literal():
                if operand.field.is_container and not is_star(value):
                    return self._inside(field, value)
                compared = _compared(operand, operator, value)
                self._count(_searched_characters(compared), value)
                return compared
            case Not(term):
                return Negation(self._against(field, operand, operator, term))
            case And(terms) | Or(terms):
                parts = tuple([self._against(field, operand, operator, term) for term in terms])
                every = isinstance(value, And) != (operator == "!=")
                return All(parts) if every else AnyOf(parts)
            case Call():
                raise _no_function(value)
            case Member():
                hint = "put all of the value in quotes"
                raise FilterTypeError("this is the path of a field", value.offset, hint)
            case Comparison():
                raise FilterTypeError("a value can't be a comparison", value.offset)

    def _inside(self, field: Member, name: Literal) -> Condition:
        """`map:key`, `message:field`: what is named inside is present."""
        names, offsets = (*field.names, name.text), (*field.offsets, name.offset)
        inner = self._schema.resolve(Member(names, offsets))
        self.fields.add(inner.path)
        return inner.field.is_present(inner)

    def _count(self, characters: int, literal: Literal) -> None:
        """Takes note of a text to look for. Raises FilterTypeError where all are too long."""
        self._searched += characters
        if self._searched > MOST_SEARCHED:
            message = f"the texts to look for have more than {MOST_SEARCHED} characters together"
            raise FilterTypeError(message, literal.offset, "look for parts of them")


def _searched_characters(condition: Condition) -> int:
    """How long the texts are that a comparison looks for inside of others."""
    match condition:
        case Contains(text=text):
            return len(text)
        case Like(pieces=pieces):
            return sum(map(len, pieces))
        case Negation(part):
            return _searched_characters(part)
        case All(parts) | AnyOf(parts):
            return sum(map(_searched_characters, parts))
        case _:
            return 0


def _compared(operand: Operand, operator: str, value: Literal) -> Condition:
    try:
        return operand.field.compare(operand, operator, value)
    except FilterTypeError as error:
        if not is_star(value):
            raise
        hint = f"write {operand.path}:* to ask whether it is set"
        raise FilterTypeError(error.message, error.offset, hint) from None


def _no_function(call: Call) -> FilterTypeError:
    hint = "put a space after contains" if call.name == "contains" else ""
    return FilterTypeError(f"there is no function {quote(call.name)}", call.offset, hint)
