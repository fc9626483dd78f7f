"""Agent sessions and their actions over REST: every method in its form, with the worker at work."""

from typing import Any

import pytest

SIGNAL = {"title": "PaymentBatchFailed", "message": "3 of 40 payments failed"}


class Sessions:
    """Calls by REST, each of which works."""

    def __init__(self, stack: Any) -> None:
        self._stack = stack
        self.all = f"{stack.workspace}/agentSessions"

    def get(self, path: str) -> Any:
        answer = self._stack.http.get(f"{self._stack.rest}/api/v1/{path}", timeout=30)
        assert answer.is_success, answer.text
        return answer.json()

    def post(self, path: str, **body: Any) -> Any:
        answer = self.try_post(path, **body)
        assert answer.is_success, answer.text
        return answer.json()

    def try_post(self, path: str, **body: Any) -> Any:
        return self._stack.http.post(f"{self._stack.rest}/api/v1/{path}", json=body, timeout=30)

    def proposed(self) -> Any:
        """A session that the worker has analysed."""
        created = self.post(self.all, signal=SIGNAL, start="START_ON_PROPOSE")
        assert created["state"] == "STATE_STARTED"
        return self.post(f"{created['name']}:propose")


@pytest.fixture
def sessions(stack: Any) -> Sessions:
    return Sessions(stack)


def test_a_session_is_asked_and_answered(sessions: Sessions) -> None:
    session = sessions.proposed()
    assert session["state"] == "STATE_AWAITING_CONFIRMATION"
    assert session["analysis"]["summary"]
    assert [each["state"] for each in session["actions"]] == ["STATE_PROPOSED"]
    assert sessions.get(session["name"]) == session
    listed = sessions.get(f'{sessions.all}?filter=state="AWAITING_CONFIRMATION"')
    assert session["name"] in [each["name"] for each in listed["agent_sessions"]]
    events = sessions.get(f"{session['name']}/events")["events"]
    assert "agent_message" in [next(iter(each.keys() & {"agent_message"}), "") for each in events]


def test_actions_are_asked_for_listed_and_rejected(sessions: Sessions) -> None:
    session = sessions.proposed()
    asked = sessions.post(
        f"{session['name']}/actions", action_type="contact_support", description="Ask them"
    )
    assert sessions.get(asked["name"]) == asked
    listed = sessions.get(f"{session['name']}/actions")["actions"]
    assert listed[0] == asked
    anywhere = sessions.get(f"{sessions.all}/-/actions?filter=action_type=contact_support")
    assert asked["name"] in [each["name"] for each in anywhere["actions"]]
    chosen = [{"action": each["name"], "digest": each["digest"]} for each in listed]
    refused = sessions.try_post(f"{session['name']}:execute", actions=chosen)
    assert refused.status_code == 400
    assert "is done by a person" in refused.json()["message"]
    done = sessions.post(f"{session['name']}:reject", actions=chosen, reason="not now")
    assert done["state"] == "STATE_COMPLETED"
    assert {each["state"] for each in done["actions"]} == {"STATE_REJECTED"}


def test_a_session_is_cancelled(sessions: Sessions) -> None:
    session = sessions.proposed()
    cancelled = sessions.post(f"{session['name']}:cancel", reason="enough", etag=session["etag"])
    assert cancelled["state"] == "STATE_CANCELLED"
    assert cancelled["error"].endswith("cancelled it: enough")


def test_what_nobody_runs_is_not_claimed(sessions: Sessions) -> None:
    [action] = sessions.proposed()["actions"]
    for verb in ("claim", "report"):
        refused = sessions.try_post(f"{action['name']}:{verb}", claim_id="me")
        assert refused.status_code == 400
        assert refused.json()["code"] == 9
