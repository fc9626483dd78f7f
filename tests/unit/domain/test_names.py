"""Resource names: which texts are names, and that they agree with the protos."""

import pytest
from google.api import resource_pb2
from hypothesis import given
from hypothesis import strategies as st
from kintsugi.v1 import exception_pb2, workspace_pb2

from server.domain.errors import InvalidName
from server.domain.names import ID, ExceptionName, RunName, WorkspaceName

ids = st.from_regex(ID, fullmatch=True)


@given(ids, ids, ids, ids)
def test_a_name_is_the_text_it_was_parsed_from(a: str, b: str, c: str, d: str) -> None:
    text = f"organizations/{a}/workspaces/{b}/automations/{c}/runs/{d}"
    name = RunName.parse(text)
    assert str(name) == text
    assert (name.organization, name.workspace, name.automation, name.run) == (a, b, c, d)
    assert name.parent == WorkspaceName(a, b)


@pytest.mark.parametrize(
    "id", ["", "-", ".", "..", "a/b", "a b", "a:b", "%61", "ä", "a\n", "a\0", "x" * 129, "?", "#"]
)
def test_an_id_that_could_mean_something_else_is_refused(id: str) -> None:
    with pytest.raises(InvalidName):
        ExceptionName.parse(f"organizations/o/workspaces/w/exceptions/{id}")


@pytest.mark.parametrize("id", ["a", "0", "run1_id", "2026-11-22.1", "a@b.example", "_", "x" * 128])
def test_ids_from_other_systems_are_accepted(id: str) -> None:
    assert ExceptionName.parse(f"organizations/o/workspaces/w/exceptions/{id}").id == id


@pytest.mark.parametrize("text", ["", "exceptions/e", "/organizations/o/workspaces/w/exceptions/e"])
def test_a_text_of_another_form_is_refused(text: str) -> None:
    with pytest.raises(InvalidName):
        ExceptionName.parse(text)


def test_the_patterns_are_those_of_the_protos() -> None:
    for message, name in (
        (exception_pb2.Exception, ExceptionName),
        (workspace_pb2.Workspace, WorkspaceName),
    ):
        declared = message.DESCRIPTOR.GetOptions().Extensions[resource_pb2.resource]
        assert list(declared.pattern) == [name.PATTERN]
    definitions = exception_pb2.DESCRIPTOR.GetOptions().Extensions[resource_pb2.resource_definition]
    assert RunName.PATTERN in [definition.pattern[0] for definition in definitions]
