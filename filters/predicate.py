"""Condition to Python: whether a protobuf message matches, with the same answers as the SQL."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from filters.caching import cached_by_text
from filters.check import check
from filters.conditions import All, AnyOf, Comparison, Condition, IsSet, Negation
from filters.parse import parse
from filters.schema import Schema

Test = Callable[[Any], bool]


@dataclass(frozen=True, slots=True)
class Predicate:
    """A compiled filter, to be called with a message, and the paths of the fields it looks at.

    Only the empty filter, which matches everything, looks at none.
    """

    matches: Test
    fields: frozenset[str]

    def __call__(self, message: Any) -> bool:
        return self.matches(message)


@cached_by_text
def compile_predicate(text: str, schema: Schema) -> Predicate:
    """The filter as a function of a message.

    >>> compile_predicate("state = PENDING", schema)(pb.Exception(state=pb.EXCEPTION_STATE_PENDING))
    True

    Raises FilterSyntaxError and FilterTypeError.
    """
    checked = check(parse(text), schema)
    return Predicate(message_test(checked.condition), checked.fields)


def message_test(condition: Condition) -> Test:
    """A function that says whether the condition holds for a message."""
    match condition:
        case Negation(part):
            test = message_test(part)
            return lambda message: not test(message)
        case All(parts) | AnyOf(parts):
            return _several(
                [message_test(part) for part in parts], every=isinstance(condition, All)
            )
        case _:
            return _comparison(condition)


def _several(tests: list[Test], *, every: bool) -> Test:
    def matches(message: Any) -> bool:
        # No generator: one frame a level keeps the deepest filter far from Python's limit.
        for test in tests:
            if test(message) is not every:
                return not every
        return every

    return matches


def _comparison(condition: Comparison) -> Test:
    operand = condition.operand
    read, load, key = operand.read, operand.field.load, operand.key
    default = None if isinstance(condition, IsSet) else operand.default
    test = condition.holds_for

    def matches(message: Any) -> bool:
        value = read(message)
        if key is not None and value is not None:
            value = value.get(key)
        if value is not None:
            value = load(value)
        if value is None:
            value = default
        return value is not None and test(value)

    return matches
