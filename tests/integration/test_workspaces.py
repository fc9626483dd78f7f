"""Workspaces over gRPC, on a real database."""

import uuid
from typing import Any

import grpc
import pytest
from kintsugi.v1 import workspace_pb2 as pb
from kintsugi.v1 import workspace_service_pb2 as service
from kintsugi.v1.exception_service_pb2 import CreateExceptionRequest

from tests.integration.client import WORKSPACE, Client, new_exception, reason, violations

ORGANIZATION = "organizations/local"


def create(client: Client, workspace_id: str, **fields: Any) -> pb.Workspace:
    return client.workspaces.CreateWorkspace(
        service.CreateWorkspaceRequest(
            parent=ORGANIZATION, workspace_id=workspace_id, workspace=pb.Workspace(**fields)
        )
    )


def get(client: Client, name: str) -> pb.Workspace:
    return client.workspaces.GetWorkspace(service.GetWorkspaceRequest(name=name))


def update(client: Client, *mask: str, **fields: Any) -> pb.Workspace:
    request = service.UpdateWorkspaceRequest(workspace=pb.Workspace(**fields))
    request.update_mask.paths.extend(mask)
    return client.workspaces.UpdateWorkspace(request)


def test_there_is_a_default_workspace(client: Client) -> None:
    default = get(client, WORKSPACE)
    assert default.title == "Default"
    assert list(default.features) == ["agent_ai"]
    assert uuid.UUID(default.uid)


def test_a_created_workspace_can_be_used_at_once(client: Client) -> None:
    created = create(client, "claims", title="Claims")
    assert created.name == f"{ORGANIZATION}/workspaces/claims"
    assert created.title == "Claims"
    assert list(created.features) == ["agent_ai"]
    assert get(client, created.name) == created
    assert client.list(parent=created.name).total_size == 0


def test_a_taken_id_is_refused(client: Client) -> None:
    create(client, "claims")
    with pytest.raises(grpc.RpcError) as error:
        create(client, "claims")
    assert error.value.code() is grpc.StatusCode.ALREADY_EXISTS
    assert reason(error.value) == "RESOURCE_ALREADY_EXISTS"


@pytest.mark.parametrize("id", ["Claims", "1st", "a_b", "a-", "-", "x" * 64, "a b"])
def test_an_id_that_would_not_last_is_refused(client: Client, id: str) -> None:
    with pytest.raises(grpc.RpcError) as error:
        create(client, id)
    assert list(violations(error.value)) == ["workspace_id"]


def test_workspaces_are_listed_by_organization_newest_first(client: Client) -> None:
    for id in ("one", "two", "three"):
        create(client, id)
    first = client.workspaces.ListWorkspaces(
        service.ListWorkspacesRequest(parent=ORGANIZATION, page_size=3)
    )
    assert [each.name.rpartition("/")[2] for each in first.workspaces] == ["three", "two", "one"]
    assert first.total_size == 4
    second = client.workspaces.ListWorkspaces(
        service.ListWorkspacesRequest(parent=ORGANIZATION, page_token=first.next_page_token)
    )
    assert [each.name for each in second.workspaces] == [WORKSPACE]
    assert second.next_page_token == ""
    with pytest.raises(grpc.RpcError) as error:
        client.workspaces.ListWorkspaces(
            service.ListWorkspacesRequest(parent="organizations/other")
        )
    assert reason(error.value) == "RESOURCE_NOT_FOUND"


def test_title_and_features_can_be_changed(client: Client) -> None:
    name = create(client, "claims", title="Claims").name
    changed = update(client, "title", "features", name=name, title="Claims 2")
    assert (changed.title, list(changed.features)) == ("Claims 2", [])
    with pytest.raises(grpc.RpcError) as error:
        update(client, "features", name=name, features=["flying"])
    assert list(violations(error.value)) == ["workspace.features"]


def test_a_stale_etag_changes_nothing(client: Client) -> None:
    created = create(client, "claims")
    update(client, "title", name=created.name, title="new")
    with pytest.raises(grpc.RpcError) as error:
        update(client, "title", name=created.name, title="newer", etag=created.etag)
    assert error.value.code() is grpc.StatusCode.ABORTED
    assert get(client, created.name).title == "new"


def test_the_same_exception_in_two_workspaces_is_two(client: Client) -> None:
    for parent in (WORKSPACE, create(client, "claims").name):
        exception = new_exception(run=f"{parent}/automations/a/runs/r")
        request = CreateExceptionRequest(parent=parent, exception=exception)
        raised = client.exceptions.CreateException(request)
        assert raised.occurrence_count == 1
        assert list(client.list(parent=parent).exceptions) == [raised]
