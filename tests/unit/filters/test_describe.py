"""The docs of a resource's fields come out of its schema."""

import pytest

import filters
from tests.filters_cases.things import SCHEMA

DOCUMENT = """before
<!-- fields of things -->
old
<!-- end of fields -->
after
<!-- fields of others -->
<!-- end of fields -->
"""


def test_names_every_field_with_its_type_operators_and_order():
    table = filters.describe(SCHEMA)
    for line in (
        (
            "| `state` | `PENDING`, `RESOLVED`, `ARCHIVED` | `=` `!=` `:` |"
            " yes, may change while paging | Where it stands. |"
        ),
        "| `automation` | id, or name `…/automations/ID` | `=` `!=` `:` |  |  |",
        "| `message` | string | `=` `!=` `<` `<=` `>` `>=` `:` `contains` |  | What went wrong. |",
        "| `count` | integer | `=` `!=` `<` `<=` `>` `>=` `:` |  |  |",
        "| `location` | message | `:` |  | Where it happened. |",
        "| `location.start_byte` | integer | `=` `!=` `<` `<=` `>` `>=` `:` |  |  |",
        "| `extra` | map of strings | `:` |  |  |",
        "| `create_time` | timestamp | `=` `!=` `<` `<=` `>` `>=` `:` | yes |  |",
        "A bare word is looked for in `message`, `description`.",
    ):
        assert line in table.splitlines()


def test_fills_its_place_in_a_document():
    filled = filters.fill(DOCUMENT, "things", SCHEMA)
    assert filled.startswith("before\n<!-- fields of things -->\n| field |")
    assert "old" not in filled
    assert filled.endswith("<!-- fields of others -->\n<!-- end of fields -->\n")
    assert filters.fill(filled, "things", SCHEMA) == filled


def test_a_document_without_the_place_is_refused():
    with pytest.raises(ValueError, match="no place for the fields of nothing"):
        filters.fill(DOCUMENT, "nothing", SCHEMA)
