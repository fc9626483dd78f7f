"""A repeated request does nothing a second time (AIP-155), whatever happens in between."""

import uuid
from concurrent.futures import ThreadPoolExecutor

import grpc
import psycopg
import pytest
from kintsugi.v1 import exception_pb2 as pb
from kintsugi.v1 import exception_service_pb2 as service
from kintsugi.v1 import workspace_pb2, workspace_service_pb2

from tests.integration.client import Client, new_exception, reason, violations
from tests.integration.conftest import StartServer


def new_request() -> str:
    return str(uuid.uuid4())


def test_fifty_identical_creates_at_once_make_one_exception(client: Client, database: str) -> None:
    exception, request_id = new_exception(), new_request()
    with ThreadPoolExecutor(50) as pool:
        answers = list(pool.map(lambda _: client.create(exception, request_id), range(50)))
    assert all(answer == answers[0] for answer in answers)
    assert answers[0].occurrence_count == 1
    with psycopg.connect(database) as connection:
        [(exceptions,)] = connection.execute("SELECT count(*) FROM exceptions").fetchall()
        [(changes,)] = connection.execute("SELECT count(*) FROM changes").fetchall()
    assert (exceptions, changes) == (1, 1)


def test_a_repetition_is_known_after_a_restart(start_server: StartServer) -> None:
    exception, request_id = new_exception(), new_request()
    first = start_server().create(exception, request_id)
    assert start_server().create(exception, request_id) == first


def test_a_repetition_answers_the_exception_as_it_is_now(client: Client) -> None:
    exception, request_id = new_exception(), new_request()
    created = client.create(exception, request_id)
    client.resolve(created.name)
    assert client.create(exception, request_id).state == pb.EXCEPTION_STATE_RESOLVED


def test_another_body_under_the_same_id_is_refused(client: Client) -> None:
    request_id = new_request()
    client.create(new_exception(), request_id)
    with pytest.raises(grpc.RpcError) as error:
        client.create(new_exception(), request_id)
    assert error.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert reason(error.value) == "REQUEST_ID_REUSED"
    assert list(violations(error.value)) == ["request_id"]


def update(client: Client, name: str, request_id: str) -> pb.Exception:
    request = service.UpdateExceptionRequest(request_id=request_id)
    request.exception.name = name
    request.exception.assignee = "users/ada"
    return client.exceptions.UpdateException(request)


@pytest.mark.parametrize("method", ["update", "resolve", "archive", "unarchive"])
def test_every_change_can_be_repeated(shared_client: Client, method: str) -> None:
    name, request_id = shared_client.raise_one().name, new_request()
    if method == "unarchive":
        shared_client.archive(name)
    if method == "update":
        answers = [update(shared_client, name, request_id) for _ in range(2)]
    else:
        answers = [getattr(shared_client, method)(name, request_id=request_id) for _ in range(2)]
    assert answers[0] == answers[1]


def test_a_repetition_is_looked_at_before_the_etag(client: Client) -> None:
    raised, request_id = client.raise_one(), new_request()
    first = client.resolve(raised.name, request_id=request_id, etag=raised.etag)
    assert client.resolve(raised.name, request_id=request_id, etag=raised.etag) == first


def test_an_update_that_changes_nothing_remembers_its_id(client: Client) -> None:
    raised, request_id = client.raise_one(assignee="users/ada"), new_request()
    assert update(client, raised.name, request_id) == raised
    with pytest.raises(grpc.RpcError) as error:
        client.exceptions.UpdateException(
            service.UpdateExceptionRequest(
                exception=pb.Exception(name=raised.name, assignee="users/bob"),
                request_id=request_id,
            )
        )
    assert reason(error.value) == "REQUEST_ID_REUSED"


def test_a_failure_is_not_remembered(client: Client) -> None:
    raised, request_id = client.raise_one(), new_request()
    with pytest.raises(grpc.RpcError):
        client.unarchive(raised.name, request_id=request_id)
    client.archive(raised.name)
    assert client.unarchive(raised.name, request_id=request_id).state == pb.EXCEPTION_STATE_PENDING


def test_the_id_of_one_method_means_nothing_to_another(client: Client) -> None:
    raised, request_id = client.raise_one(), new_request()
    client.archive(raised.name, request_id=request_id)
    assert client.unarchive(raised.name, request_id=request_id).state == pb.EXCEPTION_STATE_PENDING


def create_workspace(client: Client, id: str, request_id: str) -> workspace_pb2.Workspace:
    return client.workspaces.CreateWorkspace(
        workspace_service_pb2.CreateWorkspaceRequest(
            parent="organizations/local",
            workspace=workspace_pb2.Workspace(title="Claims"),
            workspace_id=id,
            request_id=request_id,
        )
    )


def test_creating_a_workspace_can_be_repeated(client: Client) -> None:
    request_id = new_request()
    first = create_workspace(client, "claims", request_id)
    assert create_workspace(client, "claims", request_id) == first
    with pytest.raises(grpc.RpcError) as error:
        create_workspace(client, "other", request_id)
    assert reason(error.value) == "REQUEST_ID_REUSED"


def test_every_change_leaves_one_row_with_what_changed(client: Client, database: str) -> None:
    raised = client.raise_one(assignee="users/ada")
    updated = client.update("assignee", name=raised.name, assignee="users/bob")
    client.resolve(raised.name)
    with psycopg.connect(database) as connection:
        rows = connection.execute(
            "SELECT method, principal, resource, before, after FROM changes ORDER BY id"
        ).fetchall()
        stored = connection.execute("SELECT to_jsonb(exceptions) FROM exceptions").fetchone()
    assert [row[0].rpartition("/")[2] for row in rows] == [
        "CreateException",
        "UpdateException",
        "ResolveException",
    ]
    assert {(row[1], row[2]) for row in rows} == {("users/local", raised.name)}
    assert rows[0][3] is None
    assert rows[1][3] == {
        "assignee": "users/ada",
        "update_time": raised.update_time.ToJsonString(),
    }
    assert rows[1][4]["assignee"] == "users/bob"
    assert rows[2][3] == {
        "state": pb.EXCEPTION_STATE_PENDING,
        "resolver": "",
        "update_time": updated.update_time.ToJsonString(),
    }
    assert stored == (rows[2][4],)
