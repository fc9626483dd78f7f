"""Free-form JSON that can't be kept is refused, and the violation says where it is."""

from math import inf, nan
from typing import Any

import pytest
from google.protobuf.struct_pb2 import Struct, Value

from server.interceptors.json_values import struct_violations


def found(values: dict[str, Any], most: int = 1000) -> dict[str, str]:
    struct = Struct()
    struct.update(values)
    return dict(struct_violations(struct, "parameters", most))


def test_what_json_can_say_is_fine() -> None:
    assert found({"a": [1, 2.5, None, True, {"b": "ä"}], "c": {}, "d": []}) == {}


@pytest.mark.parametrize("number", [nan, inf, -inf])
def test_a_number_that_json_lacks_is_named(number: float) -> None:
    assert found({"a": [1, {"b": number}]}) == {
        "parameters.a[1].b": "is no number that JSON has",
    }


def test_a_nul_is_named_wherever_it_is() -> None:
    assert found({"a": ["x", "y\0"]}) == {"parameters.a[1]": "contains a NUL character"}
    assert found({"a": {"b\0": 1}}) == {"parameters.a": "contains a NUL character in a key"}


def test_a_value_of_nothing_is_named() -> None:
    struct = Struct()
    struct.fields["a"].CopyFrom(Value())
    [(path, _)] = struct_violations(struct, "parameters", 0)
    assert path == "parameters.a"


def test_what_is_too_large_is_told_with_the_limit() -> None:
    assert "at most 100 are allowed" in found({"a": "x" * 101}, 100)["parameters"]
