"""docs/filters.md says what is so."""

import re
from pathlib import Path

import pytest
import sqlalchemy as sa
from kintsugi.v1 import exception_pb2 as pb

import filters
from tests.filters_cases.things import things

PAGE = (Path(__file__).parents[3] / "docs" / "filters.md").read_text(encoding="utf-8")
EXAMPLES, ERRORS = (
    block.strip().splitlines() for block in re.findall(r"```\n(.*?)```", PAGE, re.S)
)
SCHEMA = filters.Schema(
    state=filters.Enum(pb.ExceptionState, things.c.state),
    automation=filters.ResourceId("automations", things.c.automation),
    group=filters.ResourceId("exceptionGroups", things.c.group),
    run=filters.ResourceId("runs", things.c.run, any_of=True),
    message=filters.Text(things.c.message, searched=True),
    title=filters.Text(things.c.description),
    extra=filters.Map(things.c.extra),
    location=filters.Message({"start_byte": filters.Int64(things.c.start_byte)}),
    create_time=filters.Timestamp(things.c.create_time),
    resolve_time=filters.Timestamp(things.c.resolve_time),
)


@pytest.mark.parametrize("line", EXAMPLES)
def test_the_examples_are_filters(line):
    filters.compile_sql(line.split("   ")[0], SCHEMA)


@pytest.mark.parametrize("line", ERRORS)
def test_the_errors_are_the_ones_shown(line):
    text, told = re.split(r"  +", line, maxsplit=1)
    with pytest.raises(filters.FilterError) as refused:
        filters.compile_sql(text, SCHEMA)
    assert str(refused.value) == told


def test_the_page_shows_how_a_schema_is_declared():
    (code,) = re.findall(r"```python\n(.*?)```", PAGE, re.S)
    names = {"pb": pb, "table": things, "sa": sa, **vars(filters)}
    exec(code, names)
    assert filters.parse_order_by("create_time desc", names["schema"]) == [("create_time", True)]
