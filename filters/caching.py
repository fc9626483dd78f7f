"""Keeps what was compiled, by the text of the filter and its schema."""

from collections.abc import Callable
from functools import lru_cache, wraps
from typing import TypeAlias, TypeVar

from filters.schema import Schema

KEPT = 128
LONGEST_KEPT = 4096
"""Characters. A compiled filter takes some hundred times the memory of its text."""

Compiled = TypeVar("Compiled")
Compile: TypeAlias = Callable[[str, Schema], Compiled]


def cached_by_text(compile_text: Compile[Compiled]) -> Compile[Compiled]:
    """The function, with its latest results kept. Errors are not."""
    kept = lru_cache(KEPT)(compile_text)

    @wraps(compile_text)
    def cached(text: str, schema: Schema) -> Compiled:
        return kept(text, schema) if len(text) <= LONGEST_KEPT else compile_text(text, schema)

    return cached
