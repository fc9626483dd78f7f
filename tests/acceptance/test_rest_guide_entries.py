"""The published guide entry paths, GET one and GET list, and what is done to entries, over REST."""

import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from tests.acceptance.test_rest_exceptions import TIME, assert_shape

STATES = {
    "STATE_PENDING_APPROVAL",
    "STATE_APPROVED",
    "STATE_REJECTED",
    "STATE_ARCHIVED",
}
ALWAYS = {
    "name": str,
    "content": str,
    "source_exception": str,
    "source_run": str,
    "create_time": TIME,
    "update_time": TIME,
    "automation": str,
    "state": STATES,
    "version": str,
}
TEXTS = {
    "title": str,
    "root_cause": str,
    "resolution_steps": str,
    "resolution_code": str,
    "resolution_notes": str,
}
RISKS = {f"RISK_{name}" for name in ("UNSPECIFIED", "LOW", "MEDIUM", "HIGH", "CRITICAL")}
OURS = {
    "approved_version": str,
    "etag": str,
    "action_type": str,
    "action_risk": RISKS,
    "self_resolving": bool,
}
PAGE = {
    "guide_entries": list,
    "next_page_token": str,
    "total_size": int,
    "total_size_is_lower_bound": bool,
}


def make(http: httpx.Client, workspace: str, automation: str = "billing", **fields: str) -> Any:
    answer = http.post(f"{workspace}/automations/{automation}/guideEntries", json=fields)
    assert answer.status_code == 200, answer.text
    return answer.json()


def get(http: httpx.Client, path: str, **parameters: Any) -> Any:
    answer = http.get(path, params=parameters)
    assert answer.status_code == 200, answer.text
    return answer.json()


def act(http: httpx.Client, name: str, verb: str, **body: str) -> Any:
    answer = http.post(f"{name}:{verb}", json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


def list_names(http: httpx.Client, parent: str, **parameters: Any) -> list[str]:
    page = get(http, f"{parent}/guideEntries", **parameters)
    assert page["total_size"] == len(page["guide_entries"])
    return [entry["name"] for entry in page["guide_entries"]]


# One


def test_an_entry_with_everything(http: httpx.Client, workspace: str) -> None:
    texts = {name: f"some {name}" for name in TEXTS}
    run = f"{workspace}/automations/billing/runs/1"
    sources = {"source_exception": f"{workspace}/exceptions/1", "source_run": run}
    made = make(http, workspace, content="some content", **texts, **sources)
    found = get(http, made["name"])
    assert found == made
    assert_shape(found, ALWAYS | TEXTS | OURS)
    assert texts.items() | sources.items() <= found.items()
    assert found["name"].startswith(f"{workspace}/automations/billing/guideEntries/")
    assert found["automation"] == f"{workspace}/automations/billing"
    assert (found["state"], found["version"]) == ("STATE_PENDING_APPROVAL", "0.1")


def test_an_entry_with_the_least_leaves_out_what_is_optional(
    http: httpx.Client, workspace: str
) -> None:
    found = get(http, make(http, workspace)["name"])
    assert_shape(found, ALWAYS | OURS)
    empty = ("content", "source_exception", "source_run", "approved_version")
    assert [found[name] for name in empty] == [""] * 4


def test_an_entry_says_which_action_resolves_it(http: httpx.Client, workspace: str) -> None:
    run = f"{workspace}/automations/billing/runs/1"
    raised = {"run": run, "location": {}, "message": "KeyError: 'total'"}
    source = http.post(f"{workspace}/exceptions", json=raised).json()["name"]
    said = {
        "action_type": "reprocess_usage_batch",
        "action_parameters": {"batch": "b-7", "deep": [1.5, None, {"x": True}]},
        "action_risk": "RISK_MEDIUM",
    }
    path = f"{workspace}/automations/billing/guideEntries"
    made = http.post(path, json=said | {"source_exception": source}).json()
    assert said.items() <= made.items()
    assert_shape(made, ALWAYS | OURS | {"action_parameters": dict})
    changed = http.patch(made["name"], json={"self_resolving": True}).json()
    assert (changed["self_resolving"], changed["version"]) == (True, "0.2")
    assert list_names(http, f"{workspace}/automations/-", filter="self_resolving = true") == [
        made["name"]
    ]
    refused = http.patch(made["name"], params={"update_mask": "action_type"}, json={})
    assert (refused.status_code, refused.json()["code"]) == (400, 3)


def test_a_deleted_entry_says_when_and_is_archived(http: httpx.Client, workspace: str) -> None:
    name = make(http, workspace)["name"]
    deleted = http.delete(name)
    assert deleted.status_code == 200, deleted.text
    found = get(http, name)
    assert found == deleted.json()
    assert_shape(found, ALWAYS | OURS | {"delete_time": TIME})
    assert found["state"] == "STATE_ARCHIVED"
    assert act(http, name, "undelete")["state"] == "STATE_PENDING_APPROVAL"
    assert "delete_time" not in get(http, name)


def test_an_entry_is_approved_changed_and_rejected(http: httpx.Client, workspace: str) -> None:
    made = make(http, workspace, resolution_steps="one")
    name = made["name"]
    approved = act(http, name, "approve", etag=made["etag"], request_id=str(uuid.uuid4()))
    assert (approved["state"], approved["version"]) == ("STATE_APPROVED", "1.0")
    body = {"resolution_steps": "two", "title": "ignored"}
    changed = http.patch(name, params={"update_mask": "resolution_steps"}, json=body).json()
    assert (changed["state"], changed["version"]) == ("STATE_PENDING_APPROVAL", "1.1")
    assert changed["approved_version"] == "1.0"
    assert "title" not in changed
    assert act(http, name, "reject")["state"] == "STATE_REJECTED"
    again = http.post(f"{name}:approve", json={})
    assert (again.status_code, again.json()["code"]) == (400, 9)
    stale = http.delete(name, params={"etag": made["etag"]})
    assert (stale.status_code, stale.json()["code"]) == (409, 10)
    page = get(http, f"{name}:listRevisions", filter='version = "1.0"')
    assert_shape(page, PAGE)
    [old] = page["guide_entries"]
    assert (old["version"], old["resolution_steps"]) == ("1.0", "one")
    versions = get(http, f"{name}:listRevisions", page_size=2)
    assert [each["version"] for each in versions["guide_entries"]] == ["1.1", "1.0"]
    token = versions["next_page_token"]
    rest = get(http, f"{name}:listRevisions", page_size=2, page_token=token)
    assert [each["version"] for each in rest["guide_entries"]] == ["0.1"]


@pytest.mark.parametrize("id", ["billing", "-"])
def test_an_unknown_entry_is_not_found(http: httpx.Client, workspace: str, id: str) -> None:
    answer = http.get(f"{workspace}/automations/{id}/guideEntries/none")
    assert (answer.status_code, answer.json()["code"]) == (404, 5)


# Many


def test_a_list_is_of_whole_entries_newest_first(http: httpx.Client, workspace: str) -> None:
    made = [make(http, workspace, title=str(n)) for n in range(3)]
    page = get(http, f"{workspace}/automations/billing/guideEntries")
    assert_shape(page, PAGE)
    assert page["guide_entries"] == made[::-1]
    assert (page["total_size"], page["next_page_token"]) == (3, "")
    for entry in page["guide_entries"]:
        assert_shape(entry, ALWAYS | OURS | {"title": str})


def test_an_empty_list_prints_its_fields(http: httpx.Client, workspace: str) -> None:
    for id in ("billing", "-"):
        assert get(http, f"{workspace}/automations/{id}/guideEntries") == {
            "guide_entries": [],
            "next_page_token": "",
            "total_size": 0,
            "total_size_is_lower_bound": False,
        }


def test_page_sizes(http: httpx.Client, workspace: str) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: make(http, workspace, f"b{n % 2}"), range(1001)))
    path = f"{workspace}/automations/-/guideEntries"
    for size, expected in ((0, 50), (1, 1), (1000, 1000), (1001, 1000), (2147483647, 1000)):
        page = get(http, path, page_size=size)
        assert (len(page["guide_entries"]), page["total_size"]) == (expected, 1001)
    assert len(get(http, path)["guide_entries"]) == 50


def test_pages_follow_each_other_to_the_end(http: httpx.Client, workspace: str) -> None:
    made = [make(http, workspace, f"a{n % 2}")["name"] for n in range(5)]
    path = f"{workspace}/automations/-/guideEntries"
    first = get(http, path, page_size=3)
    token = first["next_page_token"]
    rest = get(http, path, page_size=2, page_token=token)
    seen = [entry["name"] for page in (first, rest) for entry in page["guide_entries"]]
    assert seen == made[::-1]
    assert rest["next_page_token"] == ""
    for other, parameters in (
        (path, {"show_deleted": True}),
        (path, {"filter": "state = APPROVED"}),
        (f"{workspace}/automations/a0/guideEntries", {}),
    ):
        answer = http.get(other, params={"page_token": token} | parameters)
        assert answer.status_code == 400, answer.text
        reasons = [detail.get("reason") for detail in answer.json()["details"]]
        assert "PAGE_TOKEN_INVALID" in reasons
    refused = http.get(path, params={"page_size": -1})
    assert refused.status_code == 400


def test_total_size_respects_show_deleted(http: httpx.Client, workspace: str) -> None:
    kept, gone = (make(http, workspace)["name"] for _ in range(2))
    http.delete(gone).raise_for_status()
    parent = f"{workspace}/automations/billing"
    assert list_names(http, parent) == [kept]
    assert list_names(http, parent, show_deleted=False) == [kept]
    assert list_names(http, parent, show_deleted=True) == [gone, kept]


@pytest.mark.parametrize(
    ("filter", "expected"),
    [
        ("title contains 'My Guide Entry'", ["titled"]),
        ("resolution_steps contains 'restart'", ["steps"]),
        ("resolution_code contains 'retry'", ["code"]),
        ("resolution_notes contains 'caveat'", ["notes"]),
        ("content contains 'ancient'", ["old"]),
        ("automation = my-automation-id", ["titled", "steps"]),
        (
            "automation = my-automation-id or automation = another-automation-id",
            ["titled", "steps", "code"],
        ),
        ('create_time > "2025-01-01T00:00:00Z"', ["titled", "steps", "code", "notes", "old"]),
        (
            'update_time >= "2025-01-01T00:00:00Z" AND update_time < "2025-02-01T00:00:00Z"',
            [],
        ),
        (
            """(title contains 'My Guide Entry' OR resolution_steps contains 'error')
            AND create_time > "2025-01-01T00:00:00Z" """,
            ["titled"],
        ),
        ("NOT title:*", ["steps", "code", "notes", "old"]),
        ("state != PENDING_APPROVAL", []),
    ],
)
def test_every_published_filter_lists_what_it_says(
    http: httpx.Client, workspace: str, filter: str, expected: list[str]
) -> None:
    labels = {
        make(http, workspace, automation, **fields)["name"]: label
        for label, automation, fields in (
            ("titled", "my-automation-id", {"title": "This is my guide entry."}),
            ("steps", "my-automation-id", {"resolution_steps": "Please Restart it."}),
            ("code", "another-automation-id", {"resolution_code": "retry()"}),
            ("notes", "a-third", {"resolution_notes": "One caveat."}),
            ("old", "a-third", {"content": "ancient"}),
        )
    }
    found = list_names(http, f"{workspace}/automations/-", filter=filter)
    assert [labels[name] for name in reversed(found)] == expected


def test_an_automation_lists_its_own(http: httpx.Client, workspace: str) -> None:
    name, _ = (make(http, workspace, id)["name"] for id in ("one", "two"))
    assert list_names(http, f"{workspace}/automations/one") == [name]
    assert list_names(http, f"{workspace}/automations/one", order_by="title") == [name]


def test_a_path_that_means_many_can_only_be_read(http: httpx.Client, workspace: str) -> None:
    id = make(http, workspace)["name"].rpartition("/")[2]
    name = f"{workspace}/automations/-/guideEntries/{id}"
    assert get(http, name)["name"].endswith(f"automations/billing/guideEntries/{id}")
    for answer in (
        http.post(f"{workspace}/automations/-/guideEntries", json={}),
        http.post(f"{name}:approve", json={}),
        http.patch(name, json={"title": "x"}),
        http.delete(name),
    ):
        assert answer.status_code == 400, answer.text


def test_resolving_with_a_note_drafts_an_entry(http: httpx.Client, workspace: str) -> None:
    run = f"{workspace}/automations/billing/runs/1"
    body = {"run": run, "location": {}, "message": "KeyError: 'total'"}
    raised = http.post(f"{workspace}/exceptions", json=body).json()["name"]
    act(http, raised, "resolve", resolution_note="Add it.")
    [entry] = get(http, f"{workspace}/automations/billing/guideEntries")["guide_entries"]
    assert entry["source_exception"] == raised
    assert entry["source_run"] == run
    assert entry["state"] == "STATE_PENDING_APPROVAL"
    assert (entry["title"], entry["resolution_steps"]) == ("KeyError: 'total'", "Add it.")
    events = get(http, f"{run}/agents/kai/events")["events"]
    said = f"Drafted the guide entry `{entry['name']}`."
    assert events[0]["system_message"]["content"] == said
