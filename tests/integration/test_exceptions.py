"""Exceptions over gRPC, on a real database: raising, changing, resolving them."""

import uuid

import grpc
import psycopg
import pytest
from google.rpc import error_details_pb2
from kintsugi.v1 import exception_pb2 as pb
from kintsugi.v1 import exception_service_pb2 as service
from kintsugi.v1.automation_stage_pb2 import AUTOMATION_STAGE_PUBLISHED

from tests.integration.client import (
    WORKSPACE,
    Client,
    batch,
    detail,
    new_exception,
    reason,
    violations,
)

UNKNOWN = f"{WORKSPACE}/exceptions/nobody-raised-this"


def test_a_raised_exception_has_what_was_said_and_what_the_service_knows(client: Client) -> None:
    run = f"{WORKSPACE}/automations/billing/runs/42"
    raised = client.raise_one(
        run=run,
        location={"start_byte": 3, "end_byte": 9},
        message="boom",
        group="missing_values",
        stage=AUTOMATION_STAGE_PUBLISHED,
        execution_id="exec_1",
        extra={"host": "worker-3"},
        assignee="users/ada",
    )
    assert raised.name.startswith(f"{WORKSPACE}/exceptions/")
    assert raised.run == run
    assert (raised.location.start_byte, raised.location.end_byte) == (3, 9)
    assert raised.automation == f"{WORKSPACE}/automations/billing"
    assert raised.group == f"{WORKSPACE}/exceptionGroups/missing_values"
    assert raised.stage == AUTOMATION_STAGE_PUBLISHED
    assert raised.execution_id == "exec_1"
    assert dict(raised.extra) == {"host": "worker-3"}
    assert raised.assignee == "users/ada"
    assert raised.state == pb.EXCEPTION_STATE_PENDING
    assert raised.occurrence_count == 1
    assert raised.number > 0
    assert raised.create_time == raised.update_time == raised.last_occurrence_time
    assert client.get(raised.name) == raised


def test_output_only_fields_that_a_caller_sets_are_ignored(client: Client) -> None:
    raised = client.raise_one(
        name=UNKNOWN, state=pb.EXCEPTION_STATE_RESOLVED, resolver="users/eve", number=7_000_000
    )
    assert raised.state == pb.EXCEPTION_STATE_PENDING
    assert raised.resolver == ""
    assert raised.number < 7_000_000
    assert raised.name != UNKNOWN


def test_the_same_exception_raised_again_is_counted(client: Client) -> None:
    exception = new_exception(extra={"attempt": "1"})
    first = client.create(exception)
    exception.extra["attempt"] = "2"
    again = client.create(exception)
    assert again.name == first.name
    assert again.occurrence_count == 2
    assert again.last_occurrence_time.ToNanoseconds() > first.last_occurrence_time.ToNanoseconds()
    assert again.etag == first.etag
    assert dict(again.extra) == {"attempt": "1"}


@pytest.mark.parametrize(
    "other",
    [
        {"message": "another"},
        {"location": {"start_byte": 1, "end_byte": 2}},
        {"execution_id": "2"},
        {"run": f"{WORKSPACE}/automations/billing/runs/another"},
    ],
)
def test_an_exception_that_differs_is_another_one(client: Client, other: dict[str, object]) -> None:
    run = f"{WORKSPACE}/automations/billing/runs/one"
    first = client.raise_one(run=run)
    assert client.raise_one(**({"run": run} | other)).name != first.name


@pytest.mark.parametrize("end", ["resolve", "archive"])
def test_after_it_is_dealt_with_the_same_exception_is_a_new_one(client: Client, end: str) -> None:
    exception = new_exception()
    first = client.create(exception)
    getattr(client, end)(first.name)
    second = client.create(exception)
    assert second.name != first.name
    assert second.occurrence_count == 1
    assert second.number > first.number


def test_everything_wrong_with_a_request_is_said_at_once(shared_client: Client) -> None:
    with pytest.raises(grpc.RpcError) as error:
        shared_client.create(pb.Exception(run="nonsense", assignee="ada", stage=99))  # type: ignore[arg-type]
    assert error.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert reason(error.value) == "INVALID_FIELDS"
    assert set(violations(error.value)) == {
        "exception.run",
        "exception.location",
        "exception.message",
        "exception.assignee",
        "exception.stage",
    }


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"run": "organizations/local/workspaces/other/automations/a/runs/r"}, "run"),
        ({"location": {"start_byte": -1}}, "location.start_byte"),
        ({"location": {"start_byte": 5, "end_byte": 4}}, "location.end_byte"),
        ({"group": "nonsense"}, "group"),
        ({"group": "organizations/x/workspaces/y/exceptionGroups/missing_values"}, "group"),
        ({"message": "a\0b"}, "message"),
        ({"message": "x" * 65_537}, "message"),
        ({"message": "ü" * 32_769}, "message"),
        ({"execution_id": "x" * 257}, "execution_id"),
        ({"extra": {"a": "b\0"}}, "extra['a']"),
        ({"extra": {"a\0": "b"}}, "extra['a\\x00']"),
        ({"extra": {str(i): "" for i in range(65)}}, "extra"),
        ({"extra": {str(i): "x" * 65_536 for i in range(4)}}, "extra"),
        ({"run": f"{WORKSPACE}/automations/-/runs/r"}, "run"),
        ({"run": f"{WORKSPACE}/automations/a/runs/.."}, "run"),
        ({"run": f"{WORKSPACE}/automations/a/runs/a b"}, "run"),
    ],
)
def test_a_wrong_field_is_named(
    shared_client: Client, fields: dict[str, object], field: str
) -> None:
    with pytest.raises(grpc.RpcError) as error:
        shared_client.raise_one(**fields)
    assert list(violations(error.value)) == [f"exception.{field}"]


def test_an_error_about_very_much_can_still_be_sent(client: Client) -> None:
    wrong = service.CreateExceptionRequest(exception=pb.Exception(run="é" * 1000))
    with pytest.raises(grpc.RpcError) as error:
        client.exceptions.BatchCreateExceptions(
            service.BatchCreateExceptionsRequest(parent=WORKSPACE, requests=[wrong] * 1000)
        )
    assert error.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert "requests[0].exception.run" in violations(error.value)


def test_what_is_not_there_is_not_found(client: Client) -> None:
    for call in (client.get, client.resolve, client.archive, client.unarchive):
        with pytest.raises(grpc.RpcError) as error:
            call(UNKNOWN)
        assert error.value.code() is grpc.StatusCode.NOT_FOUND
        assert reason(error.value) == "RESOURCE_NOT_FOUND"
        info = detail(error.value, error_details_pb2.ResourceInfo)
        assert (info.resource_type, info.resource_name) == ("exceptions", UNKNOWN)


def test_under_an_unknown_workspace_there_is_nothing(client: Client) -> None:
    nowhere = "organizations/local/workspaces/nowhere"
    run = f"{nowhere}/automations/a/runs/r"
    create = service.CreateExceptionRequest(parent=nowhere, exception=new_exception(run=run))
    calls = [
        lambda: client.get(f"{nowhere}/exceptions/e"),
        lambda: client.list(parent=nowhere),
        lambda: client.exceptions.CreateException(create),
        lambda: client.resolve(f"{nowhere}/exceptions/e"),
    ]
    for call in calls:
        with pytest.raises(grpc.RpcError) as error:
            call()
        assert error.value.code() is grpc.StatusCode.NOT_FOUND
        assert detail(error.value, error_details_pb2.ResourceInfo).resource_name == nowhere


def test_resolving_says_who_and_how_and_is_final(client: Client) -> None:
    raised = client.raise_one()
    resolved = client.resolve(raised.name, resolution_note="added the total")
    assert resolved.state == pb.EXCEPTION_STATE_RESOLVED
    assert resolved.resolver == "users/local"
    assert resolved.resolution_note == "added the total"
    assert resolved.update_time.ToNanoseconds() > raised.update_time.ToNanoseconds()
    for call in (client.resolve, client.archive, client.unarchive):
        with pytest.raises(grpc.RpcError) as error:
            call(raised.name)
        assert error.value.code() is grpc.StatusCode.FAILED_PRECONDITION
        [violation] = detail(error.value, error_details_pb2.PreconditionFailure).violations
        assert (violation.type, violation.subject) == ("STATE", raised.name)
    assert client.get(raised.name) == resolved


def test_what_was_archived_can_be_taken_up_again(client: Client) -> None:
    raised = client.raise_one()
    assert client.archive(raised.name).state == pb.EXCEPTION_STATE_ARCHIVED
    assert client.unarchive(raised.name).state == pb.EXCEPTION_STATE_PENDING
    assert client.resolve(raised.name).state == pb.EXCEPTION_STATE_RESOLVED


def test_unarchiving_beside_a_pending_twin_names_the_twin(client: Client) -> None:
    exception = new_exception()
    archived = client.create(exception)
    client.archive(archived.name)
    twin = client.create(exception)
    with pytest.raises(grpc.RpcError) as error:
        client.unarchive(archived.name)
    assert error.value.code() is grpc.StatusCode.ALREADY_EXISTS
    assert detail(error.value, error_details_pb2.ResourceInfo).resource_name == twin.name
    assert client.get(archived.name).state == pb.EXCEPTION_STATE_ARCHIVED


def test_an_update_changes_the_fields_of_its_mask_and_no_others(client: Client) -> None:
    raised = client.raise_one(extra={"a": "1"}, assignee="users/ada")
    changed = client.update(
        "group", "extra", name=raised.name, group="internal_error", extra={"b": "2"}
    )
    assert changed.group == f"{WORKSPACE}/exceptionGroups/internal_error"
    assert dict(changed.extra) == {"b": "2"}
    assert changed.assignee == "users/ada"
    assert client.update("assignee", name=raised.name).assignee == ""


def test_an_update_without_a_mask_changes_what_is_set(client: Client) -> None:
    raised = client.raise_one(extra={"a": "1"})
    changed = client.update(name=raised.name, assignee="users/bob", message="ignored")
    assert changed.assignee == "users/bob"
    assert dict(changed.extra) == {"a": "1"}
    assert changed.message == raised.message


def test_a_star_changes_everything_that_can_be_changed(client: Client) -> None:
    raised = client.raise_one(extra={"a": "1"}, assignee="users/ada", group="missing_values")
    changed = client.update("*", name=raised.name, assignee="users/bob")
    assert (changed.assignee, changed.group, dict(changed.extra)) == ("users/bob", "", {})


@pytest.mark.parametrize("path", ["message", "run", "nonsense", "extra.a", "location.start_byte"])
def test_what_cannot_be_changed_is_refused_by_name(shared_client: Client, path: str) -> None:
    raised = shared_client.raise_one()
    with pytest.raises(grpc.RpcError) as error:
        shared_client.update(path, name=raised.name)
    assert path in violations(error.value)["update_mask"]


def test_a_wrong_value_in_an_update_is_named(shared_client: Client) -> None:
    raised = shared_client.raise_one()
    with pytest.raises(grpc.RpcError) as error:
        shared_client.update("group", name=raised.name, group="nonsense")
    assert list(violations(error.value)) == ["exception.group"]
    with pytest.raises(grpc.RpcError) as error:
        shared_client.update("assignee", assignee="users/ada")
    assert list(violations(error.value)) == ["exception.name"]


def test_a_stale_etag_changes_nothing(client: Client) -> None:
    raised = client.raise_one()
    client.update("assignee", name=raised.name, assignee="users/ada", etag=raised.etag)
    calls = [
        lambda: client.update("assignee", name=raised.name, etag=raised.etag),
        lambda: client.resolve(raised.name, etag=raised.etag),
        lambda: client.archive(raised.name, etag=raised.etag),
        lambda: client.unarchive(raised.name, etag=raised.etag),
    ]
    for call in calls:
        with pytest.raises(grpc.RpcError) as error:
            call()
        assert error.value.code() is grpc.StatusCode.ABORTED
        assert reason(error.value) == "ETAG_MISMATCH"
    now = client.get(raised.name)
    assert now.assignee == "users/ada"
    assert client.resolve(raised.name, etag=now.etag).state == pb.EXCEPTION_STATE_RESOLVED


def test_a_batch_answers_in_its_order_and_counts_repetitions(client: Client) -> None:
    one, other = new_exception(message="1"), new_exception(message="2")
    known = client.create(other)
    answers = batch(client, one, other, one)
    assert [each.message for each in answers] == ["1", "2", "1"]
    assert answers[0].name == answers[2].name
    assert answers[1].name == known.name
    assert client.get(answers[0].name).occurrence_count == 2
    assert client.get(known.name).occurrence_count == 2


def test_each_occurrence_in_a_batch_is_recorded_and_told(client: Client, database: str) -> None:
    one, other = new_exception(message="1"), new_exception(message="2")
    request_id = str(uuid.uuid4())
    answers = batch(client, one, one, other, one, request_id=request_id)
    assert [each.occurrence_count for each in answers[:2]] == [1, 2]
    assert [each.occurrence_count for each in answers[2:]] == [1, 3]
    with psycopg.connect(database) as connection:
        changes = connection.execute(
            "SELECT after->>'occurrence_count', before->>'occurrence_count', request_id"
            " FROM changes ORDER BY id"
        ).fetchall()
    assert sorted(change[:2] for change in changes) == [
        ("1", None), ("1", None), ("2", "1"), ("3", "2"),
    ]  # fmt: skip
    assert [change[2] for change in changes] == [request_id, None, None, None]
    again = batch(client, one, one, other, one, request_id=request_id)
    assert [each.name for each in again] == [each.name for each in answers]


def test_a_batch_is_all_or_none(client: Client) -> None:
    before = client.list().total_size
    with pytest.raises(grpc.RpcError) as error:
        batch(client, new_exception(), new_exception(group="nonsense"))
    assert list(violations(error.value)) == ["requests[1].exception.group"]
    assert client.list().total_size == before


def test_the_children_of_a_batch_have_no_parent_or_request_of_their_own(client: Client) -> None:
    child = service.CreateExceptionRequest(
        parent="organizations/local/workspaces/other", exception=new_exception(), request_id="r"
    )
    with pytest.raises(grpc.RpcError) as error:
        client.exceptions.BatchCreateExceptions(
            service.BatchCreateExceptionsRequest(parent=WORKSPACE, requests=[child])
        )
    assert set(violations(error.value)) == {"requests[0].parent", "requests[0].request_id"}


@pytest.mark.parametrize("count", [0, 1001])
def test_a_batch_has_one_to_a_thousand_children(shared_client: Client, count: int) -> None:
    with pytest.raises(grpc.RpcError) as error:
        batch(shared_client, *([new_exception()] * count))
    assert list(violations(error.value)) == ["requests"]


def test_a_repeated_batch_raises_nothing_again(client: Client) -> None:
    raised = [new_exception(message=str(i)) for i in range(5)]
    request_id = str(uuid.uuid4())
    first = batch(client, *raised, request_id=request_id)
    client.resolve(first[3].name)
    again = batch(client, *raised, request_id=request_id)
    assert [each.name for each in again] == [each.name for each in first]
    assert again[3].state == pb.EXCEPTION_STATE_RESOLVED
    assert [each.occurrence_count for each in again] == [1] * 5
