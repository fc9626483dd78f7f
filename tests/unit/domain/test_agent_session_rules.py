"""What a session may be about, and who does it."""

import pytest
from kintsugi.v1.agent_session_pb2 import AgentSession

from server.domain.agent_session_rules import violations
from server.domain.names import WorkspaceName

WORKSPACE = WorkspaceName("local", "default")
EXCEPTION = f"{WORKSPACE}/exceptions/x"
CHAT = AgentSession.KIND_CHAT
SIGNAL = {"title": "PaymentBatchFailed", "message": "3 of 40 payments failed"}


@pytest.mark.parametrize(
    ("given", "fields"),
    [
        ({"exception": EXCEPTION}, []),
        ({"signal": SIGNAL}, []),
        ({"signal": SIGNAL, "agent": "agents/resolution_agent"}, []),
        ({"signal": SIGNAL, "agent": "agents/other"}, ["agent"]),
        ({}, ["exception"]),
        ({"exception": EXCEPTION, "signal": SIGNAL}, ["exception"]),
        ({"exception": "organizations/local/workspaces/other/exceptions/x"}, ["exception"]),
        ({"exception": EXCEPTION, "agent": "users/ada"}, ["agent"]),
        ({"exception": EXCEPTION, "agent": "agents/a/b"}, ["agent"]),
        ({"exception": EXCEPTION, "agent": "agents/-"}, ["agent"]),
        ({"agent": "x"}, ["exception", "agent"]),
        ({"signal": SIGNAL, "title": "x", "context": {}}, ["title", "context"]),
        ({"kind": CHAT}, []),
        ({"kind": CHAT, "exception": EXCEPTION, "title": "x", "context": {}}, []),
        ({"kind": CHAT, "signal": SIGNAL, "start": AgentSession.START_AUTO}, ["signal", "start"]),
        ({"kind": CHAT, "exception": EXCEPTION.replace("default", "other")}, ["exception"]),
        ({"kind": CHAT, "agent": "agents/other"}, ["agent"]),
    ],
)
def test_a_session_is_about_one_thing_and_an_agents(given: dict, fields: list[str]) -> None:
    assert [field for field, _ in violations(WORKSPACE, AgentSession(**given))] == fields


def test_what_is_wrong_is_said() -> None:
    [(_, missing), (_, agent)] = violations(WORKSPACE, AgentSession(agent="agents/other"))
    assert missing.endswith("one of `exception` and `signal` is required")
    assert agent == "there is no other than agents/resolution_agent"
