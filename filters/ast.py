"""What a filter says, as plain data: the result of parse.py, the input of check.py.

Every node knows where it began, as an offset in characters from the start of the text. Nothing
changes a node; but `frozen`, they would take four times as long to make.
"""

from dataclasses import dataclass
from typing import TypeAlias


@dataclass(slots=True)
class Literal:
    """A value; quotes and escapes are resolved.

    `wildcards` are the indexes in `text` of the `*` that were not escaped.
    """

    text: str
    offset: int
    quoted: bool = False
    wildcards: tuple[int, ...] = ()


@dataclass(slots=True)
class Member:
    """A path of names, `location.start_byte`; `quoted` says whether the first of them is."""

    names: tuple[str, ...]
    offsets: tuple[int, ...]
    quoted: bool = False

    @property
    def offset(self) -> int:
        return self.offsets[0]


@dataclass(slots=True)
class Call:
    """A function call, `f(a, 1)`. The name may be dotted."""

    name: str
    arguments: tuple["Expression", ...]
    offset: int


@dataclass(slots=True)
class Comparison:
    """A field, one of `= != < <= > >= : contains`, and what it is compared with.

    The value is a Literal, or an Expression of literals: `state = (PENDING OR ARCHIVED)`.
    """

    field: Member | Call
    operator: str
    value: "Expression"
    operator_offset: int

    @property
    def offset(self) -> int:
        return self.field.offset


@dataclass(slots=True)
class Not:
    """`NOT term`, `-term`."""

    term: "Expression"
    offset: int


@dataclass(slots=True)
class And:
    """All of the terms; without any, the empty filter, which matches everything."""

    terms: tuple["Expression", ...]

    @property
    def offset(self) -> int:
        return self.terms[0].offset if self.terms else 0


@dataclass(slots=True)
class Or:
    """Any of the terms."""

    terms: tuple["Expression", ...]

    @property
    def offset(self) -> int:
        return self.terms[0].offset


Expression: TypeAlias = And | Or | Not | Comparison | Literal | Member | Call
"""As a condition, a Literal is a search in the resource's text; a Member alone means nothing."""
