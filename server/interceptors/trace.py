"""The trace that a call is part of, by its metadata `traceparent` (W3C Trace Context).

Spans, where they are wanted, are made in `server/tracing.py`.
"""

import random
import re
from collections.abc import Callable, Mapping
from typing import Any

Metadata = Mapping[str, Any]

Begin = Callable[[str, Metadata], tuple[str, Callable[[str], None]]]
"""By a method's path and the metadata: the trace's id, and what is told the code in the end."""

_TRACEPARENT = re.compile(
    r"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(?:-.*)?"
)


def untraced(_path: str, metadata: Metadata) -> tuple[str, Callable[[str], None]]:
    """The caller's trace id, 32 hexadecimal digits, or a new one, for the log alone."""
    given = _TRACEPARENT.fullmatch(str(metadata.get("traceparent", "")))
    return given[1] if given else f"{random.getrandbits(128):032x}", _unheard


def _unheard(_code: str) -> None:
    """Nobody wants to know how it ended."""
