"""Bulk calls as JSON shows them."""

from typing import Any

import pytest


@pytest.mark.parametrize("verb", ["bulkResolve", "bulkArchive"])
def test_bulk_calls_show_and_then_do(stack: Any, verb: str) -> None:
    body = stack.new_exception(automation=f"all-{verb}")
    name = stack.http.post(stack.exceptions, json=body).json()["name"]
    asked = {"filter": f"automation = all-{verb}"}
    shown = stack.http.post(f"{stack.exceptions}:{verb}", json=asked)
    assert shown.json() == {
        "results": [],
        "next_page_token": "",
        "match_count": 1,
        "match_count_is_lower_bound": False,
        "match_sample": [name],
        "remaining_count": 1,
    }
    done = stack.http.post(
        f"{stack.exceptions}:{verb}", json=asked | {"force": True, "max_count": 1}
    )
    assert done.status_code == 200, done.text
    [result] = done.json()["results"]
    assert (result["exception"], result["status"]["code"]) == (name, 0)
    assert done.json()["remaining_count"] == 0


def test_bulk_calls_need_a_filter_and_refuse_more_than_was_accepted(stack: Any) -> None:
    assert stack.http.post(f"{stack.exceptions}:bulkResolve", json={}).status_code == 400
    for _ in range(2):
        stack.http.post(stack.exceptions, json=stack.new_exception(automation="too-many"))
    body = {"filter": "automation = too-many", "force": True, "max_count": 1}
    refused = stack.http.post(f"{stack.exceptions}:bulkArchive", json=body)
    assert refused.status_code == 400
    assert refused.json()["details"][0]["reason"] == "TOO_MANY_MATCHES"
