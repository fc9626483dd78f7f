"""Keeps what was compiled, by the text of the filter and its schema."""

from functools import lru_cache, wraps
from typing import Protocol, TypeVar

from filters.schema import Schema

KEPT = 128
LONGEST_KEPT = 4096
"""Characters. A compiled filter takes some hundred times the memory of its text."""

Compiled_co = TypeVar("Compiled_co", covariant=True)


class Compile(Protocol[Compiled_co]):
    """What makes something of the text of a filter."""

    def __call__(self, text: str, schema: Schema) -> Compiled_co: ...


def cached_by_text(compile_text: Compile[Compiled_co]) -> Compile[Compiled_co]:
    """The function, with its latest results kept. Errors are not."""
    kept = lru_cache(KEPT)(compile_text)

    @wraps(compile_text)
    def cached(text: str, schema: Schema) -> Compiled_co:
        return kept(text, schema) if len(text) <= LONGEST_KEPT else compile_text(text, schema)

    return cached
