"""The two errors a filter can have, and how user text is quoted in them.

What is wrong with a given text is found out by syntax_errors.py, check.py and the fields.
"""

from collections.abc import Iterable
from difflib import get_close_matches

LONGEST_QUOTE = 40
LONGEST_GUESSED = 64


class FilterError(ValueError):
    """A filter (or order_by) that can't be used.

    `message` has no final stop and, with the hint, at most some 300 characters, however long the
    filter is; `offset` counts characters from the start of the text, from 0; `hint` says what to
    write instead, or is empty.
    """

    def __init__(self, message: str, offset: int, hint: str = "") -> None:
        super().__init__(message, offset, hint)
        self.message = message
        self.offset = offset
        self.hint = hint

    def __str__(self) -> str:
        told = f"{self.message} (at character {self.offset})"
        return f"{told}: {self.hint}" if self.hint else told


class FilterSyntaxError(FilterError):
    """The text is not a filter at all."""


class FilterTypeError(FilterError):
    """A well-formed filter that means nothing here: an unknown field, a value of the wrong type."""


def quote(text: str) -> str:
    """User text as it may stand in a message: in quotes, printable, cut short."""
    start = text[: LONGEST_QUOTE + 1]
    shown = "".join(char if char.isprintable() else ascii(char)[1:-1] for char in start)
    return f"'{shown}'" if len(shown) <= LONGEST_QUOTE else f"'{shown[:LONGEST_QUOTE]}…'"


def did_you_mean(text: str, known: Iterable[str]) -> str:
    """A hint naming the known word nearest to the text, or nothing when none is near."""
    if len(text) > LONGEST_GUESSED:
        return ""
    by_fold = {word.lower(): word for word in known}
    near = get_close_matches(text.lower(), by_fold, n=1)
    return f"did you mean {quote(by_fold[near[0]])}?" if near else ""
