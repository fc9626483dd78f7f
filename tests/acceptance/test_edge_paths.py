"""A path says which resource is meant: no query and no body ever leads to another one."""

import json
import re
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from http.client import HTTPConnection
from typing import Any

import httpx
import pytest
from google.api import annotations_pb2
from google.protobuf.descriptor_pb2 import FileDescriptorSet

from server.launch import files

API = "/api/v1"
DIRECT = {"content-type": "application/json"}


@dataclass
class Workspace:
    """A workspace of the test's own with one exception in it."""

    name: str
    exception: dict[str, Any]

    @property
    def exceptions(self) -> str:
        return f"{API}/{self.name}/exceptions"

    @property
    def path(self) -> str:
        return f"{API}/{self.exception['name']}"


@pytest.fixture(scope="module")
def http(stack: Any) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=stack.rest, headers=stack.headers, timeout=30) as client:
        yield client


@pytest.fixture
def mine(stack: Any, http: httpx.Client) -> Workspace:
    return make_workspace(stack, http)


@pytest.fixture
def theirs(stack: Any, http: httpx.Client) -> Workspace:
    return make_workspace(stack, http)


def make_workspace(stack: Any, http: httpx.Client) -> Workspace:
    workspace_id = f"w-{uuid.uuid4().hex[:12]}"
    parent = f"{API}/organizations/local/workspaces"
    made = http.post(parent, params={"workspace_id": workspace_id}, json={"title": workspace_id})
    assert made.status_code == 200, made.text
    name = made.json()["name"]
    raised = http.post(f"{API}/{name}/exceptions", json=a_failure(name))
    assert raised.status_code == 200, raised.text
    return Workspace(name, stack.described(raised.json()["name"]))


def a_failure(workspace: str) -> dict[str, Any]:
    run = f"{workspace}/automations/a/runs/{uuid.uuid4().hex}"
    return {"run": run, "location": {}, "message": "KeyError: 'total'"}


def spellings(field: str) -> set[str]:
    """The ways to write a field's name that something between here and the server might take."""
    camel = re.sub(r"_(\w)", lambda letter: letter[1].upper(), field)
    joined = re.sub(r"[._](\w)", lambda letter: letter[1].upper(), field)
    plain = {field, camel, joined}
    return (
        plain
        | {f"{name[:-1]}%{ord(name[-1]):02x}" for name in plain}
        | {name.replace(".", "%2E") for name in plain}
    )


def bound_fields() -> set[str]:
    protos = FileDescriptorSet.FromString(files.path("descriptors.binpb").read_bytes())
    rules = [
        str(method.options.Extensions[annotations_pb2.http])
        for file in protos.file
        for service in file.service
        for method in service.method
    ]
    return {name for rule in rules for name in re.findall(r"\{([\w.]+)=", rule)}


QUERIES = sorted({spelling for field in bound_fields() for spelling in spellings(field)})


def untouched(http: httpx.Client, workspace: Workspace) -> None:
    """Nothing was made, changed or resolved there."""
    assert http.get(workspace.path).json() == workspace.exception
    assert http.get(workspace.exceptions).json()["total_size"] == 1


@pytest.mark.parametrize("parameter", QUERIES)
def test_no_query_reads_from_another_workspace(
    http: httpx.Client, mine: Workspace, theirs: Workspace, parameter: str
) -> None:
    for path, other in ((mine.exceptions, theirs.name), (mine.path, theirs.exception["name"])):
        for query in (f"{parameter}={other}", f"x=&{parameter}={other}", f"{parameter}={other}&="):
            answer = http.get(f"{path}?{query}")
            assert theirs.name not in answer.text.replace(query, "")
            assert answer.status_code == 400 or mine.exception["name"] in answer.text


@pytest.mark.parametrize("parameter", QUERIES)
def test_no_query_writes_to_another_workspace(
    http: httpx.Client, mine: Workspace, theirs: Workspace, parameter: str
) -> None:
    name = theirs.exception["name"]
    http.patch(f"{mine.path}?{parameter}={name}", json={"assignee": "users/eve"})
    http.post(f"{mine.path}:resolve?{parameter}={name}", json={"resolution_note": "hm"})
    http.post(f"{mine.exceptions}?{parameter}={theirs.name}", json=a_failure(mine.name))
    untouched(http, theirs)


@pytest.mark.parametrize(
    "body",
    [
        '{"name": "THEIRS", "assignee": "users/eve"}',
        '{"name": "MINE", "name": "THEIRS", "assignee": "users/eve"}',
        '{"name": "MINE", "n\\u0061me": "THEIRS", "assignee": "users/eve"}',
        '{"n\\ame": "MINE", "name": "THEIRS", "assignee": "users/eve"}',
        "{'name': 'THEIRS', assignee: 'users/eve'}",
        "{name: 'MINE', name: 'THEIRS', assignee: 'users/eve'}",
        '{"exception": {"name": "THEIRS"}, "assignee": "users/eve"}',
    ],
)
def test_no_body_updates_another_exception(
    http: httpx.Client, mine: Workspace, theirs: Workspace, body: str
) -> None:
    body = body.replace("MINE", mine.exception["name"]).replace("THEIRS", theirs.exception["name"])
    answer = http.patch(mine.path, content=body, headers=DIRECT)
    assert answer.status_code == 400, answer.text
    assert http.get(mine.path).json() == mine.exception
    untouched(http, theirs)


@pytest.mark.parametrize(
    "body", ['{"name": "THEIRS"}', '{"name": "MINE", "name": "THEIRS"}', "{name: 'THEIRS'}"]
)
def test_no_body_resolves_another_exception(
    http: httpx.Client, mine: Workspace, theirs: Workspace, body: str
) -> None:
    body = body.replace("MINE", mine.exception["name"]).replace("THEIRS", theirs.exception["name"])
    answer = http.post(f"{mine.path}:resolve", content=body, headers=DIRECT)
    assert answer.status_code == 400, answer.text
    untouched(http, theirs)


@pytest.mark.parametrize("path", ["", ":batchCreate"])
def test_no_body_raises_in_another_workspace(
    http: httpx.Client, mine: Workspace, theirs: Workspace, path: str
) -> None:
    raised = a_failure(mine.name)
    batch = {"requests": [{"exception": raised}]}
    bodies = [{"parent": theirs.name, **(batch if path else raised)}]
    if path:
        bodies.append({"requests": [{"parent": theirs.name, "exception": raised}]})
    for body in bodies:
        answer = http.post(f"{mine.exceptions}{path}", json=body)
        assert answer.status_code == 400, answer.text
    untouched(http, theirs)
    untouched(http, mine)


def test_a_read_takes_no_body(http: httpx.Client, mine: Workspace, theirs: Workspace) -> None:
    for method, body in (("GET", {"page_size": 1}), ("GET", {"parent": theirs.name})):
        answer = http.request(method, mine.exceptions, json=body)
        assert answer.status_code == 400
        assert "body" in answer.json()["message"]


def test_a_name_in_the_body_that_agrees_with_the_path_is_fine(
    http: httpx.Client, mine: Workspace
) -> None:
    body = {"name": mine.exception["name"], "assignee": "users/ada"}
    assert http.patch(mine.path, json=body).json()["assignee"] == "users/ada"


@pytest.mark.parametrize("byte", ["%ff", "%c3%28", "%2F", "%2f", "%5C", "%00"])
def test_bytes_that_no_name_has_are_refused_in_a_path(
    http: httpx.Client, mine: Workspace, byte: str
) -> None:
    for path in (f"{mine.path}{byte}", f"{mine.exceptions}/{byte}", f"{API}/{byte}/x"):
        answer = http.get(path)
        assert answer.status_code in (400, 404)
        assert answer.json()["code"] in (3, 5)
    assert http.get(f"{mine.path}{byte}").status_code == 400


@pytest.mark.parametrize("value", ["%ff", "%00"])
def test_bytes_that_no_text_has_are_refused_in_a_query(
    http: httpx.Client, mine: Workspace, value: str
) -> None:
    answer = http.get(f"{mine.exceptions}?page_token={value}")
    assert (answer.status_code, answer.json()["code"]) == (400, 3)


@pytest.mark.parametrize("up", ["..", "%2e%2e", "%2E.", ".%2e"])
def test_dot_segments_are_resolved_before_anything_looks_at_the_path(
    stack: Any, http: httpx.Client, mine: Workspace, theirs: Workspace, up: str
) -> None:
    workspace = theirs.name.rpartition("/")[2]
    target = f"{mine.exceptions}/{up}/{up}/{workspace}/exceptions"
    answer = raw_get(stack, target)
    assert answer == http.get(theirs.exceptions).json()
    assert raw_get(stack, f"{API}/{up}/{up}/{up}/nowhere")["code"] == 5


def raw_get(stack: Any, target: str) -> Any:
    """Sends the path as it is: httpx would resolve the dots itself."""
    connection = HTTPConnection(stack.edge, timeout=30)
    connection.request("GET", target, headers=stack.headers)
    answer = json.loads(connection.getresponse().read())
    connection.close()
    return answer


def test_a_slash_too_many_is_no_empty_id(http: httpx.Client, mine: Workspace) -> None:
    doubled = mine.exceptions.replace("/workspaces", "//workspaces")
    for path in (f"{mine.exceptions}/", f"{mine.exceptions}//", doubled):
        assert http.get(path).json() == http.get(mine.exceptions).json()


@pytest.mark.parametrize(
    "path",
    [
        "/api/v1/organizations//workspaces/default/exceptions",
        "/api/v1/organizations/local/workspaces//exceptions",
        "/api/v1/organizations/local/workspaces/default/exceptions/%20",
        "/api/v1/organizations/local/workspaces/default/exceptions/-",
        "/api/v1/organizations/local/workspaces/default/exceptions/e:nope",
        "/api/v1/organizations/local/workspaces/default/exceptions/e?",
        "//api/v1/organizations/local/workspaces/none/exceptions",
    ],
)
def test_empty_and_odd_ids_name_nothing(http: httpx.Client, path: str) -> None:
    answer = http.get(f"{str(http.base_url).rstrip('/')}{path}")
    assert (answer.status_code, answer.json()["code"]) in ((400, 3), (404, 5)), answer.text
