"""Connectors over REST, and what they send to a real target through a real stack."""

import json
from typing import Any

import httpx

from tests.targets import Answered, Heard, serving


def test_a_connector_is_made_tried_changed_and_deleted(http: httpx.Client, workspace: str) -> None:
    def answer(heard: Heard) -> Answered:
        return Answered(200, {"state": "done", "batch": json.loads(heard.body)["batch"]})

    with serving(answer) as target:
        connector: dict[str, Any] = {
            "action_type": "reprocess_usage_batch",
            "title": "Reprocess a batch",
            "risk": "RISK_LOW",
            "http": {
                "method": "POST",
                "url": f"{target.url}/v1/batches/{{batch}}:reprocess",
                "body": '{"batch": "{batch}"}',
                "timeout": "5s",
                "success": {"statuses": [200], "field": "state", "value": "done"},
                "allow_private": True,
            },
        }
        made = http.post(
            f"{workspace}/connectors", params={"connector_id": "reprocess"}, json=connector
        )
        assert made.status_code == 200, made.text
        name = made.json()["name"]
        assert made.json()["http"] | connector["http"] == made.json()["http"]

        tried = http.post(f"{name}:test", json={"parameters": {"batch": "b-7"}, "send": True})
        assert tried.status_code == 200, tried.text
        assert tried.json()["request"]["url"] == f"{target.url}/v1/batches/b-7:reprocess"
        result = tried.json()["result"]
        assert result["success"] is True
        assert result["response"] == {"status": 200, "body": {"state": "done", "batch": "b-7"}}
    assert [heard.headers["kintsugi-dry-run"] for heard in target.heard] == ["true"]

    missing = http.post(f"{name}:test", json={"send": True})
    assert missing.status_code == 400
    assert "parameters.batch" in missing.json()["message"]
    bad = {"method": "POST", "url": "https://{host}/"}
    refused = http.patch(name, params={"update_mask": "http"}, json={"http": bad})
    assert refused.status_code == 400
    assert "connector.http.allowed_hosts" in refused.json()["message"]
    changed = http.patch(name, params={"update_mask": "risk"}, json={"risk": "RISK_HIGH"})
    assert changed.json()["revision"] == 2
    listed = http.get(f"{workspace}/connectors", params={"filter": "risk = HIGH"})
    assert [each["name"] for each in listed.json()["connectors"]] == [name]
    assert http.delete(name).json() == {}
    assert http.get(name).status_code == 404
