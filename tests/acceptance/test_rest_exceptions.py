"""The published exception paths, GET one and GET list, field for field as JSON shows them."""

import re
import uuid
from collections.abc import Callable
from typing import Any

import httpx
import pytest

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")
STATES = {
    "EXCEPTION_STATE_PENDING",
    "EXCEPTION_STATE_RESOLVED",
    "EXCEPTION_STATE_ARCHIVED",
}
STAGES = {
    "AUTOMATION_STAGE_UNSPECIFIED",
    "AUTOMATION_STAGE_DRAFT",
    "AUTOMATION_STAGE_PUBLISHED",
}
PUBLISHED = {
    "name": str,
    "run": str,
    "location": {"start_byte": str, "end_byte": str},
    "message": str,
    "create_time": TIME,
    "update_time": TIME,
    "state": STATES,
    "automation": str,
    "description": str,
    "group": str,
    "resolution_guide_entry": str,
    "stage": STAGES,
    "execution_id": str,
    "extra": dict,
    "assignee": str,
    "resolver": str,
}
OURS = {
    "number": int,
    "occurrence_count": int,
    "last_occurrence_time": TIME,
    "resolution_note": str,
    "etag": str,
}
PAGE = {"exceptions": list, "next_page_token": str, "total_size": int}


def assert_shape(value: Any, shape: Any) -> None:
    """`shape` is a type, a set of texts, a pattern, or a dict of shapes that are all there."""
    if isinstance(shape, dict):
        assert set(value) == set(shape)
        for name, inner in shape.items():
            assert_shape(value[name], inner)
    elif isinstance(shape, re.Pattern):
        assert shape.fullmatch(value), value
    elif isinstance(shape, set):
        assert value in shape
    else:
        assert type(value) is shape, (value, shape)


def make(http: httpx.Client, workspace: str, **fields: Any) -> dict[str, Any]:
    run = f"{workspace}/automations/billing/runs/{uuid.uuid4().hex}"
    body = {"run": run, "location": {}, "message": "KeyError: 'total'"} | fields
    answer = http.post(f"{workspace}/exceptions", json=body)
    assert answer.status_code == 200, answer.text
    made: dict[str, Any] = answer.json()
    return made


def get(http: httpx.Client, path: str, **parameters: Any) -> dict[str, Any]:
    answer = http.get(path, params=parameters)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def refusal(http: httpx.Client, path: str, **parameters: Any) -> dict[str, Any]:
    answer = http.get(path, params=parameters)
    assert answer.status_code == 400, answer.text
    status: dict[str, Any] = answer.json()
    assert status["code"] == 3
    return status


# One


def test_an_exception_with_everything(http: httpx.Client, workspace: str) -> None:
    run = f"{workspace}/automations/billing/runs/run-1"
    made = make(
        http,
        workspace,
        run=run,
        location={"start_byte": "120", "end_byte": 9007199254740993},
        group="missing_values",
        stage="AUTOMATION_STAGE_PUBLISHED",
        execution_id="exec_123abc",
        extra={"exit_code": "1", "host": "worker-3"},
        assignee="users/ada",
    )
    found = get(http, made["name"])
    assert as_raised(found) == as_raised(made)
    assert_shape(found, PUBLISHED | OURS)
    assert found["name"].startswith(f"{workspace}/exceptions/")
    assert found["run"] == run
    assert found["automation"] == f"{workspace}/automations/billing"
    assert found["location"] == {"start_byte": "120", "end_byte": "9007199254740993"}
    assert found["group"] == f"{workspace}/exceptionGroups/missing_values"
    assert found["stage"] == "AUTOMATION_STAGE_PUBLISHED"
    assert found["execution_id"] == "exec_123abc"
    assert found["extra"] == {"exit_code": "1", "host": "worker-3"}
    assert found["assignee"] == "users/ada"
    assert found["state"] == "EXCEPTION_STATE_PENDING"
    assert found["occurrence_count"] == 1
    assert found["number"] > 0


def test_an_exception_with_the_least_prints_its_defaults(
    http: httpx.Client, workspace: str
) -> None:
    made = make(http, workspace)
    found = get(http, made["name"])
    assert_shape(found, PUBLISHED | OURS)
    assert found["location"] == {"start_byte": "0", "end_byte": "0"}
    assert found["stage"] == "AUTOMATION_STAGE_UNSPECIFIED"
    assert found["extra"] == {}
    assert made["description"] == ""
    empty = ("group", "resolution_guide_entry", "execution_id", "assignee")
    assert [found[name] for name in (*empty, "resolver", "resolution_note")] == [""] * 6


def test_a_resolved_exception_says_by_whom(http: httpx.Client, workspace: str) -> None:
    name = make(http, workspace)["name"]
    http.post(f"{name}:resolve", json={"resolution_note": "added the total"}).raise_for_status()
    found = get(http, name)
    assert_shape(found, PUBLISHED | OURS)
    assert found["state"] == "EXCEPTION_STATE_RESOLVED"
    assert found["resolver"] == "users/local"
    assert found["resolution_note"] == "added the total"


def test_an_archived_exception_is_still_there(http: httpx.Client, workspace: str) -> None:
    name = make(http, workspace)["name"]
    http.post(f"{name}:archive").raise_for_status()
    assert get(http, name)["state"] == "EXCEPTION_STATE_ARCHIVED"
    http.post(f"{name}:unarchive", json={}).raise_for_status()
    assert get(http, name)["state"] == "EXCEPTION_STATE_PENDING"


def test_an_update_takes_a_mask_in_either_case(http: httpx.Client, workspace: str) -> None:
    name = make(http, workspace, extra={"a": "1"})["name"]
    body = {"assignee": "users/ada", "extra": {"b": "2"}}
    http.patch(name, params={"update_mask": "assignee"}, json=body).raise_for_status()
    found = get(http, name)
    assert (found["assignee"], found["extra"]) == ("users/ada", {"a": "1"})
    http.patch(name, params={"updateMask": "extra"}, json=body).raise_for_status()
    assert get(http, name)["extra"] == {"b": "2"}


def test_text_comes_back_as_it_went(http: httpx.Client, workspace: str) -> None:
    message = 'Zähler <br> \\ " / \u2028 \U0001f4a5 \t{[]}'
    made = make(http, workspace, message=message, extra={"ключ": message})
    found = get(http, made["name"])
    assert (found["message"], found["extra"]) == (message, {"ключ": message})


def test_request_fields_may_be_in_camel_case(http: httpx.Client, workspace: str) -> None:
    made = make(http, workspace, executionId="e-1", location={"startByte": 1, "endByte": 2})
    assert made["execution_id"] == "e-1"
    assert made["location"] == {"start_byte": "1", "end_byte": "2"}


@pytest.mark.parametrize("form", ["missing_values", "{workspace}/exceptionGroups/missing_values"])
def test_a_group_is_given_by_its_id_or_its_name(
    http: httpx.Client, workspace: str, form: str
) -> None:
    made = make(http, workspace, group=form.format(workspace=workspace))
    assert made["group"] == f"{workspace}/exceptionGroups/missing_values"
    http.patch(made["name"], params={"update_mask": "group"}, json={}).raise_for_status()
    assert get(http, made["name"])["group"] == ""


def test_what_only_the_service_says_is_ignored_in_a_body(
    http: httpx.Client, workspace: str
) -> None:
    claimed = {
        "name": f"{workspace}/exceptions/mine",
        "create_time": "2020-01-01T00:00:00Z",
        "update_time": "2020-01-01T00:00:00Z",
        "state": "EXCEPTION_STATE_RESOLVED",
        "automation": f"{workspace}/automations/another",
        "description": "mine",
        "resolution_guide_entry": f"{workspace}/automations/billing/guideEntries/mine",
        "resolver": "users/eve",
    }
    made = make(http, workspace, **claimed)
    assert not claimed.items() & made.items()
    assert made["state"] == "EXCEPTION_STATE_PENDING"


@pytest.mark.parametrize(
    ("fields", "wrong"),
    [
        ({"run": ""}, "exception.run"),
        ({"location": None}, "exception.location"),
        ({"message": ""}, "exception.message"),
        ({"run": "organizations/local/workspaces/other/automations/a/runs/1"}, "exception.run"),
        ({"group": "no_such_group"}, "exception.group"),
        ({"assignee": "ada"}, "exception.assignee"),
        ({"location": {"start_byte": 2, "end_byte": 1}}, "exception.location.end_byte"),
    ],
)
def test_what_is_missing_or_wrong_is_named(
    http: httpx.Client, workspace: str, fields: dict[str, Any], wrong: str
) -> None:
    run = f"{workspace}/automations/billing/runs/1"
    body = {"run": run, "location": {}, "message": "broken"} | fields
    answer = http.post(f"{workspace}/exceptions", json=body)
    assert (answer.status_code, answer.json()["code"]) == (400, 3)
    [bad] = [each for each in answer.json()["details"] if "field_violations" in each]
    assert [each["field"] for each in bad["field_violations"]] == [wrong]


def test_an_execution_tells_equal_exceptions_apart(http: httpx.Client, workspace: str) -> None:
    place = {"run": f"{workspace}/automations/billing/runs/1", "location": {"end_byte": 3}}
    first, again = (make(http, workspace, **place, execution_id="e-1") for _ in range(2))
    other = make(http, workspace, **place, execution_id="e-2")
    assert (again["name"], again["occurrence_count"]) == (first["name"], 2)
    assert (other["name"] != first["name"], other["occurrence_count"]) == (True, 1)


def test_a_resolved_exception_stays_resolved(http: httpx.Client, workspace: str) -> None:
    name = make(http, workspace)["name"]
    http.post(f"{name}:resolve", json={}).raise_for_status()
    for verb in ("resolve", "archive", "unarchive"):
        answer = http.post(f"{name}:{verb}", json={})
        assert (answer.status_code, answer.json()["code"]) == (400, 9)


def test_a_token_goes_along(stack: Any, http: httpx.Client, workspace: str) -> None:
    path = f"{workspace}/exceptions"
    assert http.get(path, headers={"authorization": "Bearer kin_abc"}).status_code == 401
    assert http.get(path, headers={"authorization": f"Bearer {stack.token}"}).status_code == 200


def test_an_unknown_exception_is_not_found(http: httpx.Client, workspace: str) -> None:
    answer = http.get(f"{workspace}/exceptions/none")
    assert (answer.status_code, answer.json()["code"]) == (404, 5)
    details = {detail["@type"].rpartition("/")[2]: detail for detail in answer.json()["details"]}
    assert details["google.rpc.ErrorInfo"]["reason"] == "RESOURCE_NOT_FOUND"
    resource = details["google.rpc.ResourceInfo"]
    assert resource["resource_name"] == f"{workspace}/exceptions/none"


# Many


def test_a_list_is_of_whole_exceptions_newest_first(http: httpx.Client, workspace: str) -> None:
    made = [make(http, workspace, execution_id=str(n)) for n in range(3)]
    page = get(http, f"{workspace}/exceptions")
    assert_shape(page, PAGE | {"total_size_is_lower_bound": bool})
    assert [as_raised(each) for each in page["exceptions"]] == [as_raised(e) for e in made[::-1]]
    assert page["total_size"] == 3
    assert page["next_page_token"] == ""
    for exception in page["exceptions"]:
        assert_shape(exception, PUBLISHED | OURS)


def as_raised(exception: dict[str, Any]) -> dict[str, Any]:
    """Without what a worker writes soon afterwards."""
    return {**exception, "description": "", "update_time": ""}


def test_an_empty_list_prints_its_fields(http: httpx.Client, workspace: str) -> None:
    assert get(http, f"{workspace}/exceptions") == {
        "exceptions": [],
        "next_page_token": "",
        "total_size": 0,
        "total_size_is_lower_bound": False,
    }


def test_pages_follow_each_other_to_the_end(http: httpx.Client, workspace: str) -> None:
    made = [make(http, workspace)["name"] for _ in range(5)]
    seen, token = [], ""
    for size in (2, 1, 2):
        page = get(http, f"{workspace}/exceptions", page_size=size, page_token=token)
        assert page["total_size"] == 5
        assert len(page["exceptions"]) == size
        seen += [exception["name"] for exception in page["exceptions"]]
        token = page["next_page_token"]
    assert seen == made[::-1]
    assert token == ""


def test_page_sizes(http: httpx.Client, workspace: str) -> None:
    batch = [
        {
            "exception": {
                "run": f"{workspace}/automations/billing/runs/{n}",
                "location": {},
                "message": "broken",
            }
        }
        for n in range(1000)
    ]
    for _ in range(2):
        answer = http.post(f"{workspace}/exceptions:batchCreate", json={"requests": batch})
        assert answer.status_code == 200, answer.text
        assert len(answer.json()["exceptions"]) == 1000
        for request in batch:
            request["exception"]["execution_id"] = "again"
    for size, expected in ((0, 50), (1, 1), (1000, 1000), (1001, 1000), (2147483647, 1000)):
        page = get(http, f"{workspace}/exceptions", page_size=size)
        assert len(page["exceptions"]) == expected
        assert page["total_size"] == 2000
        assert page["next_page_token"]
    assert len(get(http, f"{workspace}/exceptions")["exceptions"]) == 50


@pytest.mark.parametrize("parameters", [{"page_size": -1}, {"skip": -1}, {"page_size": 2**31}])
def test_numbers_out_of_range_are_refused(
    http: httpx.Client, workspace: str, parameters: dict[str, int]
) -> None:
    status = refusal(http, f"{workspace}/exceptions", **parameters)
    assert next(iter(parameters)) in str(status)


def test_skip_passes_over_the_newest_once(http: httpx.Client, workspace: str) -> None:
    made = [make(http, workspace)["name"] for _ in range(5)]
    first = get(http, f"{workspace}/exceptions", page_size=2, skip=1)
    token = first["next_page_token"]
    rest = get(http, f"{workspace}/exceptions", page_size=9, skip=1, page_token=token)
    names = [exception["name"] for page in (first, rest) for exception in page["exceptions"]]
    assert names == made[-2::-1]
    assert first["total_size"] == rest["total_size"] == 5
    beyond = get(http, f"{workspace}/exceptions", skip=9)
    assert (beyond["exceptions"], beyond["next_page_token"]) == ([], "")


def test_a_page_token_belongs_to_its_list(http: httpx.Client, workspace: str) -> None:
    for _ in range(3):
        make(http, workspace)
    token = get(http, f"{workspace}/exceptions", page_size=1)["next_page_token"]
    other = "organizations/local/workspaces/default/exceptions"
    for path, parameters in (
        (f"{workspace}/exceptions", {"page_token": token, "skip": 1}),
        (f"{workspace}/exceptions", {"page_token": token, "filter": "state = PENDING"}),
        (other, {"page_token": token}),
        (f"{workspace}/exceptions", {"page_token": f"{token}x"}),
        (f"{workspace}/exceptions", {"page_token": token[:-2]}),
        (f"{workspace}/exceptions", {"page_token": "nonsense"}),
    ):
        status = refusal(http, path, **parameters)
        reasons = [detail.get("reason") for detail in status["details"]]
        assert "PAGE_TOKEN_INVALID" in reasons, (parameters, status)


def test_total_size_stays_what_it_was_on_the_first_page(http: httpx.Client, workspace: str) -> None:
    for _ in range(3):
        make(http, workspace)
    first = get(http, f"{workspace}/exceptions", page_size=2)
    make(http, workspace)
    token = first["next_page_token"]
    second = get(http, f"{workspace}/exceptions", page_size=2, page_token=token)
    assert (first["total_size"], second["total_size"]) == (3, 3)
    assert len(second["exceptions"]) == 1


def test_an_unknown_workspace_is_not_found(http: httpx.Client) -> None:
    answer = http.get("organizations/local/workspaces/none/exceptions")
    assert (answer.status_code, answer.json()["code"]) == (404, 5)


def test_a_poisoned_page_can_be_read(http: httpx.Client, workspace: str) -> None:
    """The largest exceptions there are, in characters that JSON makes six times as long."""
    heavy = {f"k{n}": "<" * 65_000 for n in range(4)}
    made = [make(http, workspace, extra=heavy)["name"] for _ in range(20)]
    seen, token = [], ""
    while True:
        page = get(http, f"{workspace}/exceptions", page_token=token)
        seen += [exception["name"] for exception in page["exceptions"]]
        token = page["next_page_token"]
        if not token:
            break
    assert seen == made[::-1]


def test_a_list_can_be_filtered_and_ordered(http: httpx.Client, workspace: str) -> None:
    made = [make(http, workspace, message=text)["name"] for text in ("disk full", "no total")]
    assert list_names(http, workspace, filter='message:"TOTAL"') == made[1:]
    assert list_names(http, workspace, filter="state = PENDING", order_by="number") == made
    assert list_names(http, workspace, filter="state = RESOLVED") == []


@pytest.fixture(scope="module")
def labels(http: httpx.Client, new_workspace: Callable[[], str]) -> dict[str, str]:
    """Names of exceptions that all tests of filters look at, by what tells them apart."""
    workspace = new_workspace()
    mine, other = (f"{workspace}/automations/{id}" for id in ("my-automation-id", "another"))
    raised = {
        "first": make(http, workspace, run=f"{mine}/runs/run1_id"),
        "resolved": make(http, workspace, run=f"{mine}/runs/run2_id", group="missing_values"),
        "archived": make(http, workspace, run=f"{other}/runs/1", group="user_system_error"),
        "internal": make(http, workspace, run=f"{other}/runs/2", group="internal_error"),
    }
    for label, verb in (("resolved", "resolve"), ("archived", "archive")):
        http.post(f"{raised[label]['name']}:{verb}", json={}).raise_for_status()
    return {each["name"]: label for label, each in raised.items()}


EVERY = ["first", "resolved", "archived", "internal"]
NOT_RESOLVED = ["first", "archived", "internal"]


@pytest.mark.parametrize(
    ("filter", "expected"),
    [
        ("state = PENDING", ["first", "internal"]),
        ("state != RESOLVED", NOT_RESOLVED),
        ("automation = my-automation-id", ["first", "resolved"]),
        ("state = PENDING AND automation = my-automation-id", ["first"]),
        ("state = PENDING OR state = ARCHIVED", NOT_RESOLVED),
        ("NOT state = RESOLVED", NOT_RESOLVED),
        ('create_time > "2025-01-01T00:00:00Z"', EVERY),
        ('create_time >= "2025-01-01T00:00:00Z" AND create_time < "2025-02-01T00:00:00Z"', []),
        (
            '(state = PENDING OR state = ARCHIVED) AND create_time > "2025-01-01T00:00:00Z"',
            NOT_RESOLVED,
        ),
        ('group = "missing_values"', ["resolved"]),
        ('group = "missing_values" OR group = "user_system_error"', ["resolved", "archived"]),
        ('group = ""', ["first"]),
        ('state = PENDING AND group = ""', ["first"]),
        ('group != ""', ["resolved", "archived", "internal"]),
        ("run = run1_id OR run = run2_id", ["first", "resolved"]),
        ("run = run1_id", ["first"]),
        ('run = "run1_id"', ["first"]),
        ('run = "run1_id OR run2_id"', ["first", "resolved"]),
        ("state = EXCEPTION_STATE_PENDING", ["first", "internal"]),
        ("state = EXCEPTION_STATE_RESOLVED OR state = RESOLVED", ["resolved"]),
        ("state = EXCEPTION_STATE_ARCHIVED AND state = ARCHIVED", ["archived"]),
        ('create_time <= "2025-01-01T00:00:00+00:00"', []),
    ],
)
def test_every_published_filter_lists_what_it_says(
    http: httpx.Client, labels: dict[str, str], filter: str, expected: list[str]
) -> None:
    collection = next(iter(labels)).rpartition("/")[0]
    page = get(http, collection, filter=filter)
    assert [labels[each["name"]] for each in reversed(page["exceptions"])] == expected
    assert page["total_size"] == len(expected)


@pytest.mark.parametrize("space", ["+", "%20"])
def test_a_space_in_a_query_is_written_in_either_way(
    http: httpx.Client, workspace: str, space: str
) -> None:
    name = make(http, workspace, message="1+1")["name"]
    asked = f"filter=message{space}={space}%221%2B1%22"
    answer = get(http, f"{workspace}/exceptions?{asked}")
    assert [each["name"] for each in answer["exceptions"]] == [name]


def test_a_filter_that_means_nothing_says_where(http: httpx.Client, workspace: str) -> None:
    for text, reason, offset in (
        ("stat = PENDING", "FILTER_TYPE", "0"),
        ("state = PENDING &", "FILTER_SYNTAX", "16"),
    ):
        status = refusal(http, f"{workspace}/exceptions", filter=text)
        info, bad = status["details"]
        assert (info["reason"], info["metadata"]["offset"]) == (reason, offset)
        assert bad["field_violations"][0]["field"] == "filter"


def list_names(http: httpx.Client, workspace: str, **parameters: str) -> list[str]:
    answer = get(http, f"{workspace}/exceptions", **parameters)
    return [exception["name"] for exception in answer["exceptions"]]
