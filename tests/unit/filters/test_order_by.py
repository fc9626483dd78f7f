"""order_by: what AIP-132 allows, checked against the schema."""

import pytest

import filters
from tests.filters_cases.things import SCHEMA


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        ("  ", []),
        ("count", [("count", False)]),
        ("count desc", [("count", True)]),
        ("count asc", [("count", False)]),
        ("create_time desc,count", [("create_time", True), ("count", False)]),
        ("  create_time   desc  ,\tcount ", [("create_time", True), ("count", False)]),
        ("location.end_byte desc", [("location.end_byte", True)]),
    ],
)
def test_reads_fields_and_directions(text, expected):
    assert filters.parse_order_by(text, SCHEMA) == expected


@pytest.mark.parametrize(
    ("text", "error", "offset", "hint"),
    [
        (",", filters.FilterSyntaxError, 0, ""),
        ("count,", filters.FilterSyntaxError, 6, ""),
        ("count,,create_time", filters.FilterSyntaxError, 6, ""),
        ("count DESC", filters.FilterSyntaxError, 0, 'write "field" or "field desc"'),
        ("count desc desc", filters.FilterSyntaxError, 0, 'write "field" or "field desc"'),
        ("count; drop", filters.FilterSyntaxError, 0, 'write "field" or "field desc"'),
        ("x" * 1025, filters.FilterSyntaxError, 1024, ""),
        ("cout desc", filters.FilterTypeError, 0, "did you mean 'count'?"),
        ("count, creat_time", filters.FilterTypeError, 7, "did you mean 'create_time'?"),
        ("state", filters.FilterTypeError, 0, "it can be by count, location.end_byte, create_time"),
        ("count, count desc", filters.FilterTypeError, 7, ""),
        ("\0", filters.FilterTypeError, 0, "it can be by count, location.end_byte, create_time"),
        ("-count", filters.FilterTypeError, 0, "did you mean 'count'?"),
    ],
)
def test_refuses_the_rest(text, error, offset, hint):
    with pytest.raises(filters.FilterError) as refused:
        filters.parse_order_by(text, SCHEMA)
    assert (type(refused.value), refused.value.offset, refused.value.hint) == (error, offset, hint)
    assert len(str(refused.value)) < 300
