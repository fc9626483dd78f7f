"""The SQL as text: what indexes need to see, bound values, what may be done with the expression."""

import pytest
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

import filters
from tests.filters_cases import things


def sql(text, schema=things.SCHEMA):
    where = filters.compile_sql(text, schema).where
    return str(where.compile(dialect=postgresql.dialect())).replace("things.", "")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "(true)"),
        ("state = PENDING", "(state = %(param_1)s::SMALLINT)"),
        ("automation = a", "(automation = %(param_1)s::VARCHAR)"),
        ("message = a", "(message = %(param_1)s::VARCHAR)"),
        (
            "create_time > 2025-01-01T00:00:00Z",
            "(create_time > %(param_1)s::TIMESTAMP WITH TIME ZONE)",
        ),
        ("message:a", "(lower(message) LIKE lower(%(param_1)s::VARCHAR) ESCAPE '/')"),
        ("message > a", '(message COLLATE "C" > %(param_1)s::VARCHAR)'),
        ("message = a*", "(message LIKE %(param_1)s::VARCHAR ESCAPE '/')"),
        ("count = 1", "((count = %(param_1)s::BIGINT AND count IS NOT NULL))"),
        ("count = 0", "((count = %(param_1)s::BIGINT OR count IS NULL))"),
        ("count < 1", "((count < %(param_1)s::BIGINT OR count IS NULL))"),
        (
            'extra.env = "x"',
            "((extra @> CAST(%(param_1)s::VARCHAR AS jsonb) AND extra IS NOT NULL))",
        ),
        ("NOT state = PENDING", "((NOT state = %(param_1)s::SMALLINT))"),
        (
            "state = (PENDING OR RESOLVED) count = 1",
            (
                "(((state = %(param_1)s::SMALLINT OR state = %(param_2)s::SMALLINT)"
                " AND (count = %(param_3)s::BIGINT AND count IS NOT NULL)))"
            ),
        ),
    ],
)
def test_comparisons_are_what_an_index_serves(text, expected):
    assert sql(text) == expected


def test_values_are_never_part_of_the_sql():
    values = ["x'; drop table things; --", "%s", "%(a)s", "{}", "{0}", ":a", "?", "$1", "\\"]
    for value in values:
        written = value.replace("\\", "\\\\").replace("'", "\\'")
        for text in (
            *("message = '{}'", "message = '{}*'", "message:'{}'", "message < '{}'", "'{}'"),
            *("automation = '{}'", "run = '{} OR {}b'", "extra:'{}'"),
            *("extra.'{}' = '{}'", "extra.'{}' < '{}'", "extra.'{}' != '*{}'"),
        ):
            assert sql(text.replace("{}", written)) == sql(text.replace("{}", "harmless")), text


def test_only_the_empty_filter_names_no_field():
    for case in things.cases():
        for compile_text in (filters.compile_sql, filters.compile_predicate):
            is_empty = not compile_text(case.filter, things.SCHEMA).fields
            assert is_empty == (not case.filter.strip(" \t\r\n")), case.filter


def test_constants_are_written_alike():
    schema = filters.Schema(when=filters.Timestamp(things.things.c.create_time))
    text = "when = 2025-01-01T00:00:00.0000001Z"
    for each, expected in (("", "(true)"), (text, "(false)"), (f"NOT {text}", "((NOT false))")):
        where = filters.compile_sql(each, schema).where
        assert str(sa.select(sa.literal(1)).where(where)).endswith(f"WHERE {expected}")


def test_the_compiling_functions_keep_the_names_of_their_parameters():
    compiled = filters.compile_sql(schema=things.SCHEMA, text="state = PENDING")
    assert compiled is filters.compile_sql("state = PENDING", things.SCHEMA)


def test_a_message_shows_its_fields():
    assert "fields={'count': Int64(" in repr(
        filters.Message({"count": filters.Int64(things.things.c.count)})
    )


def test_two_filters_of_the_same_shape_share_one_statement():
    one, two, other = (
        sa.select(things.things).where(filters.compile_sql(text, things.SCHEMA).where)
        for text in ("state = PENDING count = 1", "state = RESOLVED count = 2", "count = 1")
    )
    keys = [statement._generate_cache_key() for statement in (one, two, other)]
    assert keys[0] == keys[1] != keys[2]


def test_the_expression_finds_its_table_and_can_be_negated_and_joined():
    where = filters.compile_sql("count = 1 OR count = 2", things.SCHEMA).where
    statement = sa.select(sa.func.count()).where(~where, things.things.c.state == 1)
    text = " ".join(str(statement.compile(dialect=postgresql.dialect())).split())
    assert "FROM things WHERE NOT ((" in text
    assert text.endswith("AND things.state = %(state_1)s::SMALLINT")


def test_the_expression_can_be_moved_to_an_alias():
    alias = things.things.alias("other")
    where = filters.compile_sql("state = PENDING", things.SCHEMA).where
    moved = sa.sql.visitors.replacement_traverse(
        where, {}, lambda part, **_: alias.c.state if part is things.things.c.state else None
    )
    assert "other.state" in str(moved)
    assert "things.state" in str(where)


@pytest.mark.parametrize(
    ("text", "fields"),
    [
        ("", set()),
        ("state = PENDING", {"state"}),
        ("state = PENDING group = x OR NOT count > 1", {"state", "group", "count"}),
        ("disk", {"message", "description"}),
        ("extra.env = x", {"extra"}),
        ("extra:env", {"extra"}),
        ("location.start_byte = 1", {"location.start_byte"}),
        ("location:*", {"location"}),
        ("location:file", {"location", "location.file"}),
    ],
)
def test_says_which_fields_it_names(text, fields):
    assert filters.compile_sql(text, things.SCHEMA).fields == fields
    assert filters.compile_predicate(text, things.SCHEMA).fields == fields


def test_the_same_text_is_compiled_once_for_each_schema():
    other = filters.Schema(state=filters.Enum(things.ThingState, things.things.c.count))
    compiled = filters.compile_sql("state = PENDING", things.SCHEMA)
    assert filters.compile_sql("state = PENDING", things.SCHEMA) is compiled
    assert "count" in sql("state = PENDING", other)
    assert filters.compile_predicate("state = PENDING", things.SCHEMA) is not compiled


def test_an_expression_may_stand_for_a_column():
    schema = filters.Schema(size=filters.Int64(things.things.c.count + things.things.c.score))
    assert sql("size > 3", schema).startswith("(((count + score) > ")


def test_a_column_that_an_outer_join_makes_null_is_declared_as_an_expression():
    column = things.things.c.state
    coerced = sa.type_coerce(column, column.type)
    schema = filters.Schema(state=filters.Enum(things.ThingState, coerced))
    assert sql("state = PENDING", schema).endswith("AND state IS NOT NULL))")


def test_a_list_without_text_to_search_says_so():
    schema = filters.Schema(count=filters.Int64(things.things.c.count))
    with pytest.raises(filters.FilterTypeError, match="no text to search"):
        filters.compile_sql("disk", schema)


def test_the_name_of_a_resource_has_no_wildcards():
    schema = filters.Schema(owner=filters.ResourceName(("users",), things.things.c.group))
    assert filters.compile_sql("owner = users/ada owner = bob owner:*", schema)
    with pytest.raises(filters.FilterTypeError, match="ids have no wildcards") as refused:
        filters.compile_sql('owner = "users/*"', schema)
    assert refused.value.offset == 8
