"""docs/published-apis.md says where all that is published is served, and which tests hold it."""

import ast
import re
import tomllib
from functools import cache
from pathlib import Path

import pytest
from google.api import annotations_pb2
from google.protobuf.descriptor_pb2 import FileDescriptorSet

from server.launch import files

ROOT = Path(__file__).parents[3]
PUBLISHED = tomllib.loads(Path(__file__).with_name("published_exceptions.toml").read_text())
OPERATIONS, PARAMETERS, RULES = (
    [[cell.strip() for cell in line.split("|")[1:-1]] for line in table.splitlines()[2:]]
    for table in re.findall(
        r"(?:^\|.*\n)+", (ROOT / "docs/published-apis.md").read_text(encoding="utf-8"), re.MULTILINE
    )
)
BASE = "/api/v1/organizations/{organization_id}/workspaces/{workspace_id}"


def named_tests(cell):
    """`test_a.py`: `test_x`, `test_y`; `test_b.py`: … as pairs of a file and a test."""
    for part in cell.split("; "):
        file, *names = re.findall(r"`(.+?)`", part)
        assert names
        yield from ((file, name) for name in names)


@cache
def parsed(file):
    return ast.parse((ROOT / "tests/acceptance" / file).read_text(encoding="utf-8"))


def collected(file):
    functions = (each for each in parsed(file).body if isinstance(each, ast.FunctionDef))
    return {each.name for each in functions if each.name.startswith("test_")}


def texts(file):
    """All that stands in quotes in a file, with single spaces."""
    constants = (each for each in ast.walk(parsed(file)) if isinstance(each, ast.Constant))
    return {" ".join(each.value.split()) for each in constants if isinstance(each.value, str)}


@cache
def bindings():
    """The calls of each method, as `get /api/v1/organizations/*/…`."""
    protos = FileDescriptorSet.FromString(files.path("descriptors.binpb").read_bytes())
    return {
        f"{service.name}.{method.name}": set(calls(method))
        for file in protos.file
        for service in file.service
        for method in service.method
    }


def calls(method):
    first = method.options.Extensions[annotations_pb2.http]
    for rule in (first, *first.additional_bindings):
        if verb := rule.WhichOneof("pattern"):
            yield verb + " " + re.sub(r"{[^=}]+=([^}]*)}", r"\1", getattr(rule, verb))


def test_every_published_operation_is_there_once():
    shown = {name: call.strip("`") for name, call, *_ in OPERATIONS}
    assert len(shown) == len(OPERATIONS)
    assert shown == {
        name: re.sub(r"^\w+", lambda verb: verb[0].upper(), each["call"].replace(BASE, "…"))
        for name, each in PUBLISHED["operations"].items()
    }


@pytest.mark.parametrize(("call", "method"), [row[1:3] for row in OPERATIONS])
def test_an_operation_is_served_where_it_says(call, method):
    verb, path = call.strip("`").split()
    path = re.sub(r"{\w+}", "*", path.replace("…", BASE))
    assert f"{verb.lower()} {path}" in bindings()[method.strip("`")]


def test_every_published_parameter_is_there_once():
    shown = [(operation, name.strip("`")) for operation, name, *_ in PARAMETERS]
    assert sorted(shown) == sorted(
        (name, query) for name, each in PUBLISHED["operations"].items() for query in each["query"]
    )


@pytest.mark.parametrize("cell", [row[-1] for row in OPERATIONS + PARAMETERS + RULES])
def test_every_test_that_is_named_exists(cell):
    for file, name in named_tests(cell):
        assert name in collected(file)


@pytest.mark.parametrize(
    ("operation", "cell"), [(row[0], row[-1]) for row in PARAMETERS if row[1] == "`filter`"]
)
def test_every_published_filter_stands_in_the_tests(operation, cell):
    tried = set.union(*(texts(file) for file, _ in named_tests(cell)))
    assert set(PUBLISHED["operations"][operation]["filters"]) <= tried
