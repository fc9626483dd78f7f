"""The published paths of groups and counts, field for field as JSON shows them."""

import uuid
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.acceptance.test_rest_exceptions import TIME, assert_shape, get, make, refusal

GROUP = {
    "name": str,
    "title": str,
    "description": str,
    "suggested_action": str,
    "default_assignee": str,
    "etag": str,
    "update_time": TIME,
}
TOTALS = {
    "next_page_token": str,
    "total_size": int,
    "total_exception_count": int,
    "counts_are_lower_bounds": bool,
}
IDS = ["internal_error", "missing_values", "user_system_error"]


@pytest.fixture(scope="module")
def http(stack: Any) -> Iterator[httpx.Client]:
    with httpx.Client(
        base_url=f"{stack.rest}/api/v1/", headers=stack.headers, timeout=30
    ) as client:
        yield client


@pytest.fixture
def workspace(http: httpx.Client) -> str:
    """A workspace of the test's own, so that it can count."""
    parameters = {"workspace_id": f"w-{uuid.uuid4().hex[:12]}"}
    made = http.post("organizations/local/workspaces", params=parameters, json={})
    assert made.status_code == 200, made.text
    return str(made.json()["name"])


@pytest.fixture
def raised(http: httpx.Client, workspace: str) -> list[dict[str, Any]]:
    groups = ("", "missing_values", "missing_values", "internal_error")
    return [
        make(http, workspace, group=group, run=f"{workspace}/automations/a{n % 2}/runs/{n}")
        for n, group in enumerate(groups)
    ]


def test_the_groups_are_listed_by_name(http: httpx.Client, workspace: str) -> None:
    listed = get(http, f"{workspace}/exceptionGroups")
    assert listed["next_page_token"] == ""
    assert [each["name"] for each in listed["groups"]] == [
        f"{workspace}/exceptionGroups/{id}" for id in IDS
    ]
    for each in listed["groups"]:
        assert_shape(each, GROUP)


def test_groups_come_in_pages(http: httpx.Client, workspace: str) -> None:
    first = get(http, f"{workspace}/exceptionGroups", page_size=2)
    token = first["next_page_token"]
    rest = get(http, f"{workspace}/exceptionGroups", page_size=2, page_token=token)
    assert [len(page["groups"]) for page in (first, rest)] == [2, 1]


def test_a_default_assignee_is_given_to_what_is_raised_in_the_group(
    http: httpx.Client, workspace: str
) -> None:
    changed = http.patch(
        f"{workspace}/exceptionGroups/missing_values",
        params={"update_mask": "default_assignee"},
        json={"default_assignee": "users/ada"},
    )
    assert changed.status_code == 200, changed.text
    assert changed.json()["default_assignee"] == "users/ada"
    assert make(http, workspace, group="missing_values")["assignee"] == "users/ada"


def test_counts_by_group_have_what_people_read_about_it(
    http: httpx.Client, workspace: str, raised: list[dict[str, Any]]
) -> None:
    counted = get(http, f"{workspace}/exceptions:countByGroup")
    assert_shape(counted, {"group_counts": list} | TOTALS)
    ungrouped, *named = counted["group_counts"]
    assert (ungrouped["group"]["name"], ungrouped["count"]) == ("", 1)
    assert [(each["group"]["name"].rpartition("/")[2], each["count"]) for each in named] == [
        ("internal_error", 1),
        ("missing_values", 2),
    ]
    for each in named:
        assert_shape(each, {"group": GROUP, "count": int})
    assert (counted["total_size"], counted["total_exception_count"]) == (3, 4)


def test_counts_by_automation_have_its_full_name(
    http: httpx.Client, workspace: str, raised: list[dict[str, Any]]
) -> None:
    counted = get(http, f"{workspace}/exceptions:countByAutomation")
    assert_shape(counted, {"automation_counts": list} | TOTALS)
    assert counted["automation_counts"] == [
        {"automation": f"{workspace}/automations/a0", "count": 2},
        {"automation": f"{workspace}/automations/a1", "count": 2},
    ]
    assert (counted["total_size"], counted["total_exception_count"]) == (2, 4)


def test_both_counts_respect_the_filter(
    http: httpx.Client, workspace: str, raised: list[dict[str, Any]]
) -> None:
    resolved = http.post(f"{raised[1]['name']}:resolve", json={})
    assert resolved.status_code == 200, resolved.text
    by_group = get(http, f"{workspace}/exceptions:countByGroup", filter="state = PENDING")
    assert [each["count"] for each in by_group["group_counts"]] == [1, 1, 1]
    assert by_group["total_exception_count"] == 3
    path, filter = f"{workspace}/exceptions:countByAutomation", 'group = "missing_values"'
    by_automation = get(http, path, filter=filter)
    assert [each["count"] for each in by_automation["automation_counts"]] == [1, 1]
    recent = 'state = PENDING AND create_time > "2020-01-01T00:00:00Z"'
    assert get(http, path, filter=recent)["total_exception_count"] == 3


@pytest.mark.parametrize("verb", ["countByGroup", "countByAutomation"])
def test_counts_come_in_pages_that_carry_the_totals(
    http: httpx.Client, workspace: str, raised: list[dict[str, Any]], verb: str
) -> None:
    path, counts = f"{workspace}/exceptions:{verb}", []
    page: dict[str, Any] = {"next_page_token": ""}
    while page["next_page_token"] or not counts:
        page = get(http, path, page_size=1, page_token=page["next_page_token"])
        assert page["total_exception_count"] == 4
        [one] = page["group_counts" if verb == "countByGroup" else "automation_counts"]
        counts.append(one["count"])
    assert len(counts) == page["total_size"]
    assert sum(counts) == 4


@pytest.mark.parametrize("verb", ["countByGroup", "countByAutomation"])
def test_a_workspace_without_exceptions_has_no_counts(
    http: httpx.Client, workspace: str, verb: str
) -> None:
    counted = get(http, f"{workspace}/exceptions:{verb}")
    assert list(counted.values()) == [[], "", 0, 0, False]


@pytest.mark.parametrize("verb", ["countByGroup", "countByAutomation"])
def test_counts_refuse_what_lists_refuse(http: httpx.Client, workspace: str, verb: str) -> None:
    path = f"{workspace}/exceptions:{verb}"
    for parameters in ({"filter": "stat = PENDING"}, {"page_size": -1}, {"page_token": "x"}):
        refusal(http, path, **parameters)
    unknown = http.get(f"organizations/local/workspaces/nowhere/exceptions:{verb}")
    assert unknown.status_code == 404
