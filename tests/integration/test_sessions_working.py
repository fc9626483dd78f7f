"""What workers make of sessions: analysed, proposed, executed, and the exception resolved."""

from collections.abc import Iterator

import pytest
from kintsugi.v1 import exception_pb2

from server.sessions.reasoner import Proposed
from tests.integration.client import Client
from tests.integration.working import REPROCESS, Said, Sessions, Target, states, working


@pytest.fixture
def sessions(client: Client) -> Sessions:
    return Sessions(client)


@pytest.fixture
def target() -> Iterator[Target]:
    target = Target()
    yield target
    target.close()


def test_a_session_is_analysed_and_proposes(database, sessions):
    with working(database, Said(Proposed("manual_review"))):
        started = sessions.start()
        session = sessions.wait(started.name, "AWAITING_CONFIRMATION")
    assert session.analysis.root_cause == "It broke."
    assert session.prompt_token_count == 3
    assert states(session) == ["PROPOSED"]
    assert session.HasField("expire_time")


def test_what_is_approved_is_carried_out_and_resolves(database, client, sessions, target):
    sessions.connect(target)
    with working(database, Said(REPROCESS, Proposed("manual_review"))):
        session = sessions.wait(sessions.start().name, "AWAITING_CONFIRMATION")
        [chosen, _] = session.actions
        sessions.execute(session, chosen.name)
        done = sessions.wait(session.name, "COMPLETED")
    assert states(done) == ["SUCCEEDED", "CANCELLED"]
    assert target.bodies == [{"batch": "b-7"}]
    assert target.keys == [chosen.name.rpartition("/")[2]]
    exception = client.get(session.exception)
    assert exception.state == exception_pb2.EXCEPTION_STATE_RESOLVED
    assert exception.resolver == "agents/resolution_agent"
    assert exception.resolution_note.startswith("Process it again (reprocess on ")
