"""The resource that the filter tests are about: its message, table and schema, and its rows.

A row is a dictionary of what is set in it. Beside this stand rows.toml and the files of cases.
"""

import tomllib
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple

import sqlalchemy as sa
from google.protobuf import (
    descriptor_pb2,
    descriptor_pool,
    duration_pb2,
    message_factory,
    text_format,
    timestamp_pb2,
)
from google.protobuf.internal.enum_type_wrapper import EnumTypeWrapper
from sqlalchemy.dialects.postgresql import JSONB

import filters

FOLDER = Path(__file__).parent
MATCHING = ("logic", "search", "strings", "numbers", "times", "maps", "names", "messages")
REFUSED = {"syntax": filters.FilterSyntaxError, "types": filters.FilterTypeError}
PARENT = "organizations/o/workspaces/w"
COLLECTIONS = {"automation": "automations", "run": "runs", "group": "exceptionGroups"}

_PROTO = """
name: "filter_tests.proto" package: "filter_tests" syntax: "proto3"
dependency: "google/protobuf/timestamp.proto" dependency: "google/protobuf/duration.proto"
enum_type {
  name: "ThingState"
  value { name: "THING_STATE_UNSPECIFIED" number: 0 }
  value { name: "THING_STATE_PENDING" number: 1 }
  value { name: "THING_STATE_RESOLVED" number: 2 }
  value { name: "THING_STATE_ARCHIVED" number: 3 }
}
message_type {
  name: "Location"
  field { name: "start_byte" number: 1 type: TYPE_INT64 }
  field { name: "end_byte" number: 2 type: TYPE_INT64 }
  field { name: "file" number: 3 type: TYPE_STRING }
}
message_type {
  name: "Thing"
  field { name: "state" number: 1 type: TYPE_ENUM type_name: ".filter_tests.ThingState" }
  field { name: "automation" number: 2 type: TYPE_STRING }
  field { name: "run" number: 3 type: TYPE_STRING }
  field { name: "group" number: 4 type: TYPE_STRING }
  field { name: "message" number: 5 type: TYPE_STRING }
  field { name: "description" number: 6 type: TYPE_STRING }
  field { name: "count" number: 7 type: TYPE_INT64 }
  field { name: "score" number: 8 type: TYPE_INT64 proto3_optional: true oneof_index: 0 }
  field { name: "ratio" number: 9 type: TYPE_DOUBLE }
  field { name: "active" number: 10 type: TYPE_BOOL }
  field { name: "location" number: 11 type: TYPE_MESSAGE type_name: ".filter_tests.Location" }
  field { name: "extra" number: 12 label: LABEL_REPEATED type: TYPE_MESSAGE
          type_name: ".filter_tests.Thing.ExtraEntry" }
  field { name: "create_time" number: 13 type: TYPE_MESSAGE
          type_name: ".google.protobuf.Timestamp" }
  field { name: "resolve_time" number: 14 type: TYPE_MESSAGE
          type_name: ".google.protobuf.Timestamp" }
  field { name: "timeout" number: 15 type: TYPE_MESSAGE
          type_name: ".google.protobuf.Duration" }
  nested_type {
    name: "ExtraEntry"
    field { name: "key" number: 1 type: TYPE_STRING }
    field { name: "value" number: 2 type: TYPE_STRING }
    options { map_entry: true }
  }
  oneof_decl { name: "_score" }
}
"""


def _message_classes() -> tuple[Any, Any]:
    pool = descriptor_pool.DescriptorPool()
    for known in (timestamp_pb2, duration_pb2):
        pool.AddSerializedFile(known.DESCRIPTOR.serialized_pb)
    proto = text_format.Parse(_PROTO, descriptor_pb2.FileDescriptorProto())
    pool.AddSerializedFile(proto.SerializeToString())
    state = EnumTypeWrapper(pool.FindEnumTypeByName("filter_tests.ThingState"))
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("filter_tests.Thing")), state


Thing, ThingState = _message_classes()

metadata = sa.MetaData()
# Columns of both sorts: NOT NULL ones and ones where unset is NULL.
things = sa.Table(
    "things",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("state", sa.SmallInteger, nullable=False),
    sa.Column("automation", sa.Text, nullable=False),
    sa.Column("run", sa.Text),
    sa.Column("group", sa.Text),
    sa.Column("message", sa.Text, nullable=False),
    sa.Column("description", sa.String(200)),
    sa.Column("count", sa.BigInteger),
    sa.Column("score", sa.Integer),
    sa.Column("ratio", sa.Double),
    sa.Column("active", sa.Boolean),
    sa.Column("start_byte", sa.BigInteger),
    sa.Column("end_byte", sa.BigInteger),
    sa.Column("file", sa.Text),
    sa.Column("extra", JSONB(none_as_null=True)),
    sa.Column("create_time", sa.TIMESTAMP(timezone=True), nullable=False),
    sa.Column("resolve_time", sa.TIMESTAMP(timezone=True)),
    sa.Column("timeout", sa.Interval),
)

_c = things.c
SCHEMA = filters.Schema(
    state=filters.Enum(
        ThingState, _c.state, description="Where it stands.", orderable=True, changing=True
    ),
    automation=filters.ResourceId("automations", _c.automation, parent=sa.literal(PARENT)),
    run=filters.ResourceId("runs", _c.run, any_of=True),
    group=filters.ResourceId("exceptionGroups", _c.group),
    message=filters.Text(_c.message, searched=True, description="What went wrong."),
    description=filters.Text(_c.description, searched=True),
    count=filters.Int64(_c.count),
    score=filters.Int64(_c.score, optional=True),
    ratio=filters.Double(_c.ratio),
    active=filters.Bool(_c.active),
    location=filters.Message(
        {
            "start_byte": filters.Int64(_c.start_byte),
            "end_byte": filters.Int64(_c.end_byte),
            "file": filters.Text(_c.file),
        },
        description="Where it happened.",
    ),
    extra=filters.Map(_c.extra),
    create_time=filters.Timestamp(_c.create_time, orderable=True),
    resolve_time=filters.Timestamp(_c.resolve_time),
    timeout=filters.Duration(_c.timeout),
)

_NOT_NULL = {"state": 0, "automation": "", "message": ""}


def stored(row: Mapping[str, Any]) -> dict[str, Any]:
    """The row as it is inserted; what is unset is NULL where that is allowed."""
    location = row.get("location", {})
    present = {"start_byte": 0, "end_byte": 0, "file": ""} if "location" in row else {}
    values = _NOT_NULL | {name: value for name, value in row.items() if name != "location"}
    values["state"] = ThingState.Value(f"THING_STATE_{row.get('state', 'UNSPECIFIED')}")
    return {column.name: None for column in things.columns} | values | present | location


def message(row: Mapping[str, Any]) -> Any:
    """The row as the message that the service would answer with: names are in full."""
    values = {name: value for name, value in row.items() if name != "id"}
    if "state" in row:
        values["state"] = f"THING_STATE_{row['state']}"
    for name, collection in COLLECTIONS.items():
        if row.get(name):
            values[name] = f"{PARENT}/{collection}/{row[name]}"
    return Thing(**values)


def rows() -> list[dict[str, Any]]:
    """The rows of rows.toml, each with its name as the id."""
    found = _load("rows")["rows"]
    for name, row in found.items():
        row["id"] = name
        if "timeout" in row:
            row["timeout"] = timedelta(seconds=row["timeout"])
    return list(found.values())


class Case(NamedTuple):
    """A filter and the names of the rows that it matches."""

    filter: str
    matches: set[str]


class BadCase(NamedTuple):
    """A filter that is refused."""

    filter: str
    error: type[filters.FilterError]
    offset: int
    message: str
    hint: str


def cases() -> list[Case]:
    """Every case of a filter that is accepted."""
    names = [row["id"] for row in rows()]
    return [
        Case(text, _names(matches, names))
        for topic in MATCHING
        for text, matches in _load(topic)["matching"]
    ]


def bad_cases() -> list[BadCase]:
    """Every case of a filter that is not."""
    return [
        BadCase(text, error, *told)
        for topic, error in REFUSED.items()
        for text, *told in _load(topic)["errors"]
    ]


def _names(matches: str, names: list[str]) -> set[str]:
    """`none`, `all`, `all but a b`, or `a b`."""
    named = set(matches.removeprefix("all but ").split()) - {"all", "none"}
    assert named <= set(names), f"there is no row {named - set(names)}"
    return set(names) - named if matches.startswith("all") else named


def _load(name: str) -> dict[str, Any]:
    return tomllib.loads((FOLDER / f"{name}.toml").read_text(encoding="utf-8"))
