"""order_by: what AIP-132 allows, checked against the schema."""

import pytest

import filters
from tests.filters_cases.things import SCHEMA, things


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        ("  ", []),
        ("state", [("state", False)]),
        ("state desc", [("state", True)]),
        ("state asc", [("state", False)]),
        ("create_time desc,state", [("create_time", True), ("state", False)]),
        ("  create_time   desc  , state ", [("create_time", True), ("state", False)]),
    ],
)
def test_reads_fields_and_directions(text, expected):
    assert filters.parse_order_by(text, SCHEMA) == expected


@pytest.mark.parametrize(
    ("text", "error", "offset", "hint"),
    [
        (",", filters.FilterSyntaxError, 0, ""),
        ("state,", filters.FilterSyntaxError, 6, ""),
        ("state,,create_time", filters.FilterSyntaxError, 6, ""),
        ("create_time DESC", filters.FilterSyntaxError, 12, "write desc, in lower case"),
        ("state, create_time  Asc", filters.FilterSyntaxError, 20, "write asc, in lower case"),
        ("state desc desc", filters.FilterSyntaxError, 11, "put a comma between two fields"),
        ("state asc create_time", filters.FilterSyntaxError, 10, "put a comma between two fields"),
        ("state; drop", filters.FilterSyntaxError, 7, 'write "field" or "field desc"'),
        ("state create_time desc", filters.FilterSyntaxError, 6, 'write "field" or "field desc"'),
        ("x" * 1025, filters.FilterSyntaxError, 1024, ""),
        ("stat desc", filters.FilterTypeError, 0, "did you mean 'state'?"),
        ("state, creat_time", filters.FilterTypeError, 7, "did you mean 'create_time'?"),
        ("count", filters.FilterTypeError, 0, "it can be by state, create_time"),
        ("state, state desc", filters.FilterTypeError, 7, ""),
        ("\0", filters.FilterTypeError, 0, "it can be by state, create_time"),
        ("-state", filters.FilterTypeError, 0, "did you mean 'state'?"),
        ("create_time\u00a0desc", filters.FilterTypeError, 0, "did you mean 'create_time'?"),
        ("state,\tcreate_time", filters.FilterTypeError, 6, "did you mean 'create_time'?"),
        ("\u2003state", filters.FilterTypeError, 0, "did you mean 'state'?"),
    ],
)
def test_refuses_the_rest(text, error, offset, hint):
    with pytest.raises(filters.FilterError) as refused:
        filters.parse_order_by(text, SCHEMA)
    assert (type(refused.value), refused.value.offset, refused.value.hint) == (error, offset, hint)
    assert len(str(refused.value)) < 300


@pytest.mark.parametrize("column", [things.c.count, things.c.state + things.c.count])
def test_no_order_is_declared_by_what_may_be_null(column):
    with pytest.raises(ValueError, match="size is orderable, so its column has to be NOT NULL"):
        filters.Schema(size=filters.Int64(column, orderable=True))
