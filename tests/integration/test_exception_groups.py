"""Groups of exceptions: what they are, and who is assigned by default."""

import uuid

import grpc
import pytest
from google.protobuf.field_mask_pb2 import FieldMask
from kintsugi.v1 import exception_group_pb2 as pb
from kintsugi.v1 import exception_service_pb2 as service
from kintsugi.v1 import workspace_service_pb2

from tests.integration.client import WORKSPACE, Client, batch, new_exception, violations
from tests.integration.test_thread_messages import said

IDS = ["internal_error", "missing_values", "user_system_error"]
MISSING = f"{WORKSPACE}/exceptionGroups/missing_values"


def groups(client: Client, **fields: object) -> service.ListExceptionGroupsResponse:
    parameters = {"parent": WORKSPACE} | fields
    return client.exceptions.ListExceptionGroups(service.ListExceptionGroupsRequest(**parameters))


def give_to(client: Client, assignee: str, **fields: str) -> pb.ExceptionGroup:
    request_id = fields.pop("request_id", "")
    group = pb.ExceptionGroup(**({"name": MISSING, "default_assignee": assignee} | fields))
    return client.exceptions.UpdateExceptionGroup(
        service.UpdateExceptionGroupRequest(
            exception_group=group,
            update_mask=FieldMask(paths=["default_assignee"]),
            request_id=request_id,
        )
    )


def test_a_workspace_has_three_groups_that_say_what_they_are(client: Client) -> None:
    listed = groups(client)
    assert [each.name for each in listed.groups] == [
        f"{WORKSPACE}/exceptionGroups/{id}" for id in IDS
    ]
    assert listed.total_size == 3
    for each in listed.groups:
        assert each.title
        assert each.description
        assert each.suggested_action
        assert each.default_assignee == ""


def test_a_new_workspace_has_groups_of_its_own(client: Client) -> None:
    created = client.workspaces.CreateWorkspace(
        workspace_service_pb2.CreateWorkspaceRequest(
            parent="organizations/local", workspace_id="other", workspace={}
        )
    )
    give_to(client, "users/ada")
    assert [each.default_assignee for each in groups(client, parent=created.name).groups] == [
        ""
    ] * 3


def test_groups_come_in_pages(client: Client) -> None:
    first = groups(client, page_size=2)
    second = groups(client, page_size=2, page_token=first.next_page_token)
    found = [*first.groups, *second.groups]
    assert [each.name.rpartition("/")[2] for each in found] == IDS
    assert (second.total_size, second.next_page_token) == (3, "")


def test_groups_of_an_unknown_workspace_are_not_found(client: Client) -> None:
    with pytest.raises(grpc.RpcError) as error:
        groups(client, parent="organizations/local/workspaces/nowhere")
    assert error.value.code() is grpc.StatusCode.NOT_FOUND


def test_a_new_exception_of_a_group_goes_to_its_default_assignee(client: Client) -> None:
    give_to(client, "users/ada")
    mine = client.raise_one(group="missing_values")
    assert mine.assignee == "users/ada"
    assert client.get(mine.name).assignee == "users/ada"
    assert said(client, mine.run) == [
        "Raised: `KeyError: 'total'`\n\nAssigned to users/ada, the default of its group."
    ]


def test_one_with_output_says_whom_it_was_assigned_to_once(client: Client) -> None:
    give_to(client, "users/ada")
    raised = client.raise_one(group="missing_values", extra={"output": "line 1"})
    texts = said(client, raised.run)
    assert texts[0].endswith("Assigned to users/ada, the default of its group.")
    assert "Assigned" not in "".join(texts[1:])


def test_others_are_left_alone(client: Client) -> None:
    before = client.raise_one(group="missing_values")
    give_to(client, "users/ada")
    assert client.raise_one(group="internal_error").assignee == ""
    assert client.raise_one().assignee == ""
    assert client.raise_one(group="missing_values", assignee="users/bob").assignee == "users/bob"
    assert client.get(before.name).assignee == ""
    moved = client.update("group", name=before.name, group="missing_values")
    assert moved.assignee == ""


def test_a_batch_goes_to_the_default_assignee_too(client: Client) -> None:
    give_to(client, "users/ada")
    mine, other = batch(client, new_exception(group="missing_values"), new_exception())
    assert (mine.assignee, other.assignee) == ("users/ada", "")
    assert said(client, mine.run)[0].endswith("Assigned to users/ada, the default of its group.")
    assert "Assigned" not in said(client, other.run)[0]


def test_raised_again_it_stays_with_whom_it_was_given_to(client: Client) -> None:
    exception = new_exception(group="missing_values")
    first = client.create(exception)
    give_to(client, "users/ada")
    again = client.create(exception)
    assert (again.name, again.assignee) == (first.name, "")
    assert said(client, first.run)[1] == "Raised again, 2 times by now."


def test_an_update_changes_the_etag_and_a_stale_one_is_refused(client: Client) -> None:
    first = groups(client).groups[1]
    changed = give_to(client, "users/ada", etag=first.etag)
    assert changed.etag != first.etag
    assert changed.update_time.ToNanoseconds() > first.update_time.ToNanoseconds()
    with pytest.raises(grpc.RpcError) as error:
        give_to(client, "users/bob", etag=first.etag)
    assert error.value.code() is grpc.StatusCode.ABORTED
    assert groups(client).groups[1] == changed


def test_a_repeated_update_changes_nothing(client: Client) -> None:
    request_id = uuid.uuid4().hex
    give_to(client, "users/ada", request_id=request_id)
    latest = give_to(client, "")
    assert give_to(client, "users/ada", request_id=request_id) == latest


def test_what_is_no_user_or_no_group_is_refused(client: Client) -> None:
    with pytest.raises(grpc.RpcError) as error:
        give_to(client, "ada")
    assert list(violations(error.value)) == ["exception_group.default_assignee"]
    with pytest.raises(grpc.RpcError) as error:
        give_to(client, "users/ada", name=f"{WORKSPACE}/exceptionGroups/nonsense")
    assert error.value.code() is grpc.StatusCode.NOT_FOUND


def test_only_the_default_assignee_can_be_changed(client: Client) -> None:
    titled = pb.ExceptionGroup(name=MISSING, title="Mine", default_assignee="users/ada")
    request = service.UpdateExceptionGroupRequest(exception_group=titled)
    request.update_mask.paths.append("title")
    assert client.exceptions.UpdateExceptionGroup(request) == groups(client).groups[1]
    assert groups(client).groups[1].title != "Mine"
    request.update_mask.paths.append("nonsense")
    with pytest.raises(grpc.RpcError) as error:
        client.exceptions.UpdateExceptionGroup(request)
    assert list(violations(error.value)) == ["update_mask"]
