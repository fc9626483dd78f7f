"""What Ctrl-C does with a request that has left for a target system."""

import signal
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.targets import Holding, holding

SAID = "waiting at most 30 s for requests to target systems that have left"


@pytest.fixture
def target() -> Iterator[Holding]:
    with holding() as target:
        target.free.clear()
        yield target


def _post(stack: Any, path: str, **body: Any) -> dict[str, Any]:
    answer = stack.http.post(f"{stack.rest}/api/v1/{path}", json=body)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def _get(stack: Any, name: str) -> dict[str, Any]:
    return dict(stack.http.get(f"{stack.rest}/api/v1/{name}").json())


def _sending(stack: Any, target: Holding, until: Any) -> str:
    """The name of an action whose request has left, and isn't answered yet."""
    http = {"method": "POST", "url": target.url, "body": "{}", "allow_private": True}
    path = f"{stack.workspace}/connectors?connector_id=restate"
    _post(stack, path, action_type="restate", http=http)
    raised = stack.http.post(stack.exceptions, json=stack.new_exception("billing")).json()
    session = _post(stack, f"{stack.workspace}/agentSessions", exception=raised["name"])["name"]
    waits = "STATE_AWAITING_CONFIRMATION"
    assert until(lambda: _get(stack, session)["state"] == waits, 20)
    action = str(_post(stack, f"{session}/actions", action_type="restate")["name"])
    _post(stack, f"{session}:execute", actions=[{"action": action}])
    assert until(lambda: target.keys, 20)
    return action


def test_ctrl_c_waits_until_it_is_answered(start_up, target, until):
    first = start_up("--port", "0", "--workers", "1")
    action = _sending(first, target, until)
    first.process.send(signal.SIGINT)
    assert until(lambda: SAID in first.output.read_text(), 20)
    target.free.set()
    assert first.process.wait(20)
    assert first.process.code == 0
    first.wait_gone()
    second = start_up("--port", "0", "--workers", "1", data_dir=first.data_dir)
    assert _get(second, action)["state"] == "STATE_SUCCEEDED"


def test_a_second_ctrl_c_does_not_wait_for_it(start_up, target, until):
    stack = start_up("--port", "0", "--workers", "1")
    _sending(stack, target, until)
    stack.process.send(signal.SIGINT)
    assert until(lambda: SAID in stack.output.read_text(), 20)
    begun = time.monotonic()
    assert stack.stop() == 0
    assert time.monotonic() - begun < 10
    stack.wait_gone()
