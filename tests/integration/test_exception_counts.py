"""Counts by group and by automation, and how many exceptions a list has."""

from typing import Any

import grpc
import pytest
from kintsugi.v1 import exception_pb2 as pb
from kintsugi.v1 import exception_service_pb2 as service
from kintsugi.v1.workspace_service_pb2 import CreateWorkspaceRequest

from server.store.connection import Database
from server.store.count_rollup import differences, fold
from tests.integration.client import WORKSPACE, Client, new_exception, reason

FUTURE = 'create_time < "2999-01-01T00:00:00Z"'
"""Matches all of them, and can't be answered from what is counted."""


def by_group(client: Client, **fields: Any) -> service.CountExceptionsByGroupResponse:
    return client.exceptions.CountExceptionsByGroup(
        service.CountExceptionsByGroupRequest(**({"parent": WORKSPACE} | fields))
    )


def by_automation(client: Client, **fields: Any) -> service.CountExceptionsByAutomationResponse:
    return client.exceptions.CountExceptionsByAutomation(
        service.CountExceptionsByAutomationRequest(**({"parent": WORKSPACE} | fields))
    )


def groups(counted: service.CountExceptionsByGroupResponse) -> dict[str, int]:
    return {each.group.name.rpartition("/")[2]: each.count for each in counted.group_counts}


def automations(counted: service.CountExceptionsByAutomationResponse) -> dict[str, int]:
    return {each.automation.rpartition("/")[2]: each.count for each in counted.automation_counts}


def raise_in(client: Client, automation: str, group: str = "") -> pb.Exception:
    run = f"{WORKSPACE}/automations/{automation}/runs/{new_exception().run.rpartition('/')[2]}"
    return client.raise_one(run=run, group=group)


@pytest.fixture
def raised(client: Client) -> list[pb.Exception]:
    """Six: of `a` 3 missing values and 1 ungrouped, of `b` 2 internal errors."""
    return [
        *(raise_in(client, "a", "missing_values") for _ in range(3)),
        raise_in(client, "a"),
        *(raise_in(client, "b", "internal_error") for _ in range(2)),
    ]


@pytest.mark.parametrize("filter", ["", FUTURE])
def test_counts_by_group_name_the_groups_and_the_ungrouped(
    client: Client, raised: list[pb.Exception], filter: str
) -> None:
    counted = by_group(client, filter=filter)
    assert list(groups(counted).items()) == [("", 1), ("internal_error", 2), ("missing_values", 3)]
    assert (counted.total_size, counted.total_exception_count) == (3, 6)
    assert counted.next_page_token == ""
    ungrouped, *named = (each.group for each in counted.group_counts)
    assert (ungrouped.name, ungrouped.title) == ("", "")
    assert [each.name for each in named] == [
        f"{WORKSPACE}/exceptionGroups/{id}" for id in ("internal_error", "missing_values")
    ]
    assert all(each.title and each.suggested_action and each.etag for each in named)


@pytest.mark.parametrize("filter", ["", FUTURE])
def test_counts_by_automation_are_ordered_by_name(
    client: Client, raised: list[pb.Exception], filter: str
) -> None:
    counted = by_automation(client, filter=filter)
    assert [(each.automation, each.count) for each in counted.automation_counts] == [
        (f"{WORKSPACE}/automations/a", 4),
        (f"{WORKSPACE}/automations/b", 2),
    ]
    assert (counted.total_size, counted.total_exception_count) == (2, 6)


def test_a_workspace_without_exceptions_has_no_counts(client: Client) -> None:
    assert by_group(client) == service.CountExceptionsByGroupResponse()
    assert by_automation(client, filter=FUTURE) == service.CountExceptionsByAutomationResponse()


def test_what_changes_is_counted_as_what_it_is(client: Client, raised: list[pb.Exception]) -> None:
    client.resolve(raised[0].name)
    client.archive(raised[1].name)
    client.update("group", name=raised[3].name, group="internal_error")
    client.update("assignee", name=raised[4].name, assignee="users/ada")
    assert groups(by_group(client, filter="state = PENDING")) == {
        "internal_error": 3,
        "missing_values": 1,
    }
    assert groups(by_group(client, filter="state != PENDING")) == {"missing_values": 2}
    client.unarchive(raised[1].name)
    assert groups(by_group(client, filter="state = PENDING"))["missing_values"] == 2
    assert groups(by_group(client, filter="state = ARCHIVED")) == {}


def test_one_that_is_raised_again_is_counted_once(client: Client) -> None:
    exception = new_exception()
    for _ in range(3):
        client.create(exception)
    assert by_automation(client).total_exception_count == 1
    assert client.list().total_size == 1


FILTERS = [
    "",
    "state = PENDING",
    "state != RESOLVED",
    "NOT state = RESOLVED",
    "state = PENDING OR state = ARCHIVED",
    "automation = a",
    f'automation = "{WORKSPACE}/automations/a"',
    'automation = "organizations/x/workspaces/y/automations/a"',
    'group = "missing_values"',
    'group = ""',
    'group != ""',
    'state = PENDING AND group = ""',
    "group:*",
    "stage = AUTOMATION_STAGE_DRAFT",
    "stage = DRAFT OR automation = b",
    "state = PENDING AND automation = a AND group = missing_values",
]


@pytest.mark.parametrize("folded", [False, True])
def test_what_is_counted_beforehand_is_what_is_there(
    client: Client, database: str, raised: list[pb.Exception], folded: bool
) -> None:
    client.resolve(raised[0].name)
    client.archive(raised[5].name)
    client.raise_one(run=f"{WORKSPACE}/automations/c/runs/1", stage=1)
    if folded:
        fold_all(database)
    for filter in FILTERS:
        counted_now = f"({filter}) AND {FUTURE}" if filter else FUTURE
        assert by_group(client, filter=filter) == by_group(client, filter=counted_now), filter
        assert by_automation(client, filter=filter) == by_automation(client, filter=counted_now)
        assert client.list(filter=filter).total_size == client.list(filter=counted_now).total_size


def test_pages_of_counts_carry_the_totals(client: Client, raised: list[pb.Exception]) -> None:
    for filter in ("", FUTURE):
        first = by_group(client, page_size=1, filter=filter)
        raise_in(client, "c", "user_system_error")
        rest = by_group(client, page_size=5, filter=filter, page_token=first.next_page_token)
        assert (first.total_size, first.total_exception_count) == (
            rest.total_size,
            rest.total_exception_count,
        )
        assert [*groups(first), *groups(rest)] == [
            *("", "internal_error", "missing_values", "user_system_error")
        ]
        assert rest.next_page_token == ""


def test_a_token_of_counts_belongs_to_its_parameters(
    client: Client, raised: list[pb.Exception]
) -> None:
    token = by_group(client, page_size=1).next_page_token
    client.workspaces.CreateWorkspace(
        CreateWorkspaceRequest(parent="organizations/local", workspace_id="other", workspace={})
    )
    for call, fields in (
        (by_group, {"filter": "state = PENDING"}),
        (by_automation, {}),
        (by_group, {"parent": "organizations/local/workspaces/other"}),
    ):
        with pytest.raises(grpc.RpcError) as error:
            call(client, page_token=token, **fields)  # type: ignore[operator]
        assert reason(error.value) == "PAGE_TOKEN_INVALID"


@pytest.mark.parametrize("call", [by_group, by_automation])
def test_a_wrong_request_for_counts_is_refused(client: Client, call: Any) -> None:
    for fields, expected in (
        ({"filter": "stat = PENDING"}, "FILTER_TYPE"),
        ({"filter": "state = ("}, "FILTER_SYNTAX"),
        ({"page_size": -1}, "INVALID_FIELDS"),
        ({"page_token": "nonsense"}, "PAGE_TOKEN_INVALID"),
        ({"parent": "organizations/local/workspaces/nowhere"}, "RESOURCE_NOT_FOUND"),
    ):
        with pytest.raises(grpc.RpcError) as error:
            call(client, **fields)
        assert reason(error.value) == expected


def test_a_change_that_fails_is_not_counted(client: Client, database: str) -> None:
    raised = client.raise_one(group="missing_values")
    with pytest.raises(grpc.RpcError):
        client.resolve(raised.name, etag="stale")
    client.archive(raised.name)
    twin = client.create(new_exception(run=raised.run, group="missing_values"))
    with pytest.raises(grpc.RpcError):
        client.unarchive(raised.name)
    assert twin.name != raised.name
    assert groups(by_group(client, filter="state = PENDING")) == {"missing_values": 1}
    check(database)


def fold_all(database: str) -> None:
    connected = Database(database, connections=1)
    try:
        while fold(connected, batch=3):
            pass
    finally:
        connected.close()


def check(database: str) -> None:
    connected = Database(database, connections=1)
    try:
        assert differences(connected) == []
    finally:
        connected.close()
