"""The whole loop over REST, through Envoy, against a target system: raised, looked into, approved,
carried out, resolved, learned from; and the next one resolves itself.
"""

import time
import uuid
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.target_system import TargetSystem, target_system


@pytest.fixture(scope="module")
def target() -> Iterator[TargetSystem]:
    with target_system() as made:
        yield made


class Rest:
    """The service over REST, as its owner calls it."""

    def __init__(self, stack: Any) -> None:
        self._http: httpx.Client = stack.http
        self._api = f"{stack.rest}/api/v1"
        self.workspace: str = stack.workspace

    def get(self, name: str, **parameters: str) -> dict[str, Any]:
        return self._answer(self._http.get(f"{self._api}/{name}", params=parameters))

    def post(self, name: str, **body: Any) -> dict[str, Any]:
        return self._answer(self._http.post(f"{self._api}/{name}", json=body))

    def patch(self, name: str, **body: Any) -> dict[str, Any]:
        return self._answer(self._http.patch(f"{self._api}/{name}", json=body))

    def _answer(self, answer: httpx.Response) -> dict[str, Any]:
        assert answer.status_code == 200, answer.text
        read: dict[str, Any] = answer.json()
        return read

    def wait(self, name: str, *states: str) -> dict[str, Any]:
        """What has the name, once it is in one of the states."""
        until = time.monotonic() + 60
        while (found := self.get(name))["state"] not in states:
            assert time.monotonic() < until, found
            time.sleep(0.02)
        return found


@pytest.fixture
def rest(stack: Any) -> Rest:
    return Rest(stack)


@pytest.fixture
def kind(rest: Rest, target: TargetSystem) -> str:
    """An action type that the target carries out."""
    kind = f"restate_{uuid.uuid4().hex[:8]}"
    rest.post(
        f"{rest.workspace}/connectors?connector_id={kind}",
        action_type=kind,
        http={
            "method": "POST",
            "url": f"http://{target.address}/{{manner}}/{{batch}}",
            "body": '{"action": "{action.name}", "why": "exception {exception.number}"}',
            "allow_private": True,
        },
    )
    return kind


def failure(rest: Rest, automation: str, batch: int) -> dict[str, Any]:
    run = f"{rest.workspace}/automations/{automation}/runs/{uuid.uuid4().hex}"
    message = f"BatchError: usage batch {batch} is incomplete"
    return rest.post(f"{rest.workspace}/exceptions", run=run, location={}, message=message)


def session_about(rest: Rest, exception: dict[str, Any]) -> dict[str, Any]:
    found = rest.get(f"{rest.workspace}/agentSessions", filter=f'exception = "{exception["name"]}"')
    [session] = found["agent_sessions"]
    return dict(session)


def test_what_was_approved_once_resolves_the_next_one_by_itself(
    stack: Any, rest: Rest, target: TargetSystem, kind: str
) -> None:
    automation = f"usage-{uuid.uuid4().hex[:8]}"
    first = failure(rest, automation, 7)
    entry = rest.post(
        f"{rest.workspace}/automations/{automation}/guideEntries",
        title="An incomplete batch is restated",
        source_exception=first["name"],
        resolution_steps="Have the billing system restate the batch.",
        action_type=kind,
        action_parameters={"manner": "ok", "batch": "b-7"},
        action_risk="RISK_MEDIUM",
        self_resolving=True,
    )
    stack.described(first["name"])  # else it would be found to be known
    rest.post(f"{entry['name']}:approve")

    session = rest.post(f"{rest.workspace}/agentSessions", exception=first["name"])
    done = rest.wait(session["name"], "STATE_COMPLETED")
    assert done["analysis"]["investigation_outcome"] == "OUTCOME_WORKFLOW_SELECTED"
    [action] = [each for each in done["actions"] if each["action_type"] == kind]
    assert action["state"] == "STATE_SUCCEEDED"
    assert action["approver"] == "policies/guide_entry"
    assert action["guide_entry"] == entry["name"]
    assert action["result"]["response"] == {"status": 200, "body": {"did": action["name"]}}
    [asked] = target.of(action["name"])
    assert (asked.path, asked.key) == ("/ok/b-7", action["name"].rpartition("/")[2])
    resolved = rest.wait(first["name"], "EXCEPTION_STATE_RESOLVED")
    assert resolved["resolver"] == "agents/resolution_agent"
    assert resolved["resolution_guide_entry"] == entry["name"]
    assert resolved["resolution_note"] == "Have the billing system restate the batch."

    second = failure(rest, automation, 8)
    rest.wait(second["name"], "EXCEPTION_STATE_RESOLVED")
    itself = rest.wait(session_about(rest, second)["name"], "STATE_COMPLETED")
    assert itself["creator"] == "policies/guide_entry"
    [again] = [each for each in itself["actions"] if each["action_type"] == kind]
    assert len(target.of(again["name"])) == 1


def test_a_person_approves_what_was_shown_and_it_is_learned(
    rest: Rest, target: TargetSystem, kind: str
) -> None:
    exception = failure(rest, f"usage-{uuid.uuid4().hex[:8]}", 9)
    session = rest.post(f"{rest.workspace}/agentSessions", exception=exception["name"])["name"]
    rest.wait(session, "STATE_AWAITING_CONFIRMATION")
    parameters = {"manner": "ok", "batch": "b-9"}
    action = rest.post(f"{session}/actions", action_type=kind, parameters=parameters)
    assert action["request"]["url"] == f"http://{target.address}/ok/b-9"
    assert action["risk"] == "RISK_MEDIUM"
    chosen = [{"action": action["name"], "digest": action["digest"]}]
    shown = rest.post(f"{session}:execute", actions=chosen, validate_only=True)
    assert shown["state"] == "STATE_AWAITING_CONFIRMATION"
    rest.post(f"{session}:execute", actions=chosen, note="Restated batch b-9.")
    rest.wait(session, "STATE_COMPLETED")
    assert len(target.of(action["name"])) == 1
    resolved = rest.wait(exception["name"], "EXCEPTION_STATE_RESOLVED")
    assert resolved["resolution_note"] == "Restated batch b-9."
    drafted = rest.get(f"{resolved['automation']}/guideEntries", filter="state = PENDING_APPROVAL")
    [entry] = drafted["guide_entries"]
    assert (entry["action_type"], entry["action_parameters"]) == (kind, parameters)


def test_what_fails_on_the_target_is_told_and_proposed_anew(
    rest: Rest, target: TargetSystem, kind: str
) -> None:
    exception = failure(rest, f"usage-{uuid.uuid4().hex[:8]}", 10)
    session = rest.post(f"{rest.workspace}/agentSessions", exception=exception["name"])["name"]
    rest.wait(session, "STATE_AWAITING_CONFIRMATION")
    parameters = {"manner": "fail", "batch": "b-10"}
    action = rest.post(f"{session}/actions", action_type=kind, parameters=parameters)
    rest.post(f"{session}:execute", actions=[{"action": action["name"]}])
    failed = rest.wait(action["name"], "STATE_FAILED")
    assert failed["result"]["response"]["status"] == 500
    waiting = rest.wait(session, "STATE_AWAITING_CONFIRMATION")
    [anew] = [each for each in waiting["actions"] if each["replaces"] == action["name"]]
    assert (anew["state"], anew["parameters"]) == ("STATE_PROPOSED", parameters)
    assert rest.get(exception["name"])["state"] == "EXCEPTION_STATE_PENDING"
