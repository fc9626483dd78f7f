"""JSON values in one plain form, so that equal ones are always written alike.

What is written of them, a request or a digest, is said there.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from google.protobuf.struct_pb2 import Struct

Parameters: TypeAlias = Mapping[str, Any] | Struct
"""Those of an action, as a caller gave them or as they are kept."""

_EXACT = 2**53
"""Up to here a JSON number holds every whole number."""


def plain(value: Any) -> Any:
    """Of dicts with sorted keys, lists, texts, numbers, booleans and None.

    Takes protobuf's Struct and ListValue too. Raises ValueError where a number isn't finite.
    """
    if value is None or isinstance(value, str | bool):
        return value
    if isinstance(value, int | float):
        return _number(value)
    if isinstance(value, Mapping):
        return {key: plain(value[key]) for key in sorted(value)}
    if isinstance(value, Sequence):
        return [plain(each) for each in value]
    raise ValueError(f"{type(value).__name__} is no JSON")


def _number(value: float) -> float:
    """Whole ones as int, as a Struct has only floats."""
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise ValueError("a number is too large")
    return int(number) if number.is_integer() and abs(number) <= _EXACT else number
