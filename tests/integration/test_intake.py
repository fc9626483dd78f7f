"""What workers make of new exceptions: described, and a session where one resolves itself."""

import psycopg
import pytest
from kintsugi.v1 import agent_session_service_pb2 as service
from kintsugi.v1 import guide_entry_pb2, guide_entry_service_pb2

from server.sessions.reasoner import Proposed
from tests.integration.client import WORKSPACE, Client, new_exception
from tests.integration.working import Said, Sessions, working

AUTOMATION = f"{WORKSPACE}/automations/billing"


@pytest.fixture
def sessions(client: Client) -> Sessions:
    return Sessions(client)


def test_a_new_exception_gets_a_description_and_stays_the_same_version(database, client, sessions):
    raised = client.raise_one()
    with working(database, Said()):
        read = sessions.wait_until(lambda: _described(client, raised.name))
    assert "KeyError: 'total'" in read.description
    assert read.etag == raised.etag


def test_an_imported_past_is_read_too(database, client, sessions):
    for _ in range(3):
        client.raise_one()
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("UPDATE exceptions SET create_time = create_time - interval '1 day'")
    with working(database, Said()):
        sessions.wait_until(lambda: all(each.description for each in client.list().exceptions))


def test_an_exception_of_a_known_kind_starts_a_session_by_itself(database, client, sessions):
    _self_resolving(client)
    with working(database, Said(Proposed("manual_review"))):
        raised = client.raise_one()
        [session] = sessions.wait_until(lambda: _sessions_about(sessions, raised.name))
    assert session.creator == "policies/guide_entry"


def test_no_session_is_started_for_an_old_exception(database, client, sessions):
    _self_resolving(client)
    raised = client.raise_one()
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("UPDATE exceptions SET create_time = create_time - interval '2 hours'")
    with working(database, Said(Proposed("manual_review"))):
        sessions.wait_until(lambda: _described(client, raised.name))
    assert not _sessions_about(sessions, raised.name)


def test_no_session_is_started_for_what_has_one(database, client, sessions):
    _self_resolving(client)
    raised = client.raise_one()
    started = sessions.start(raised.name)
    with working(database, Said(Proposed("manual_review"))):
        sessions.wait_until(lambda: _described(client, raised.name))
    assert [each.name for each in _sessions_about(sessions, raised.name)] == [started.name]


def test_no_session_is_started_for_another_kind(database, client, sessions):
    _self_resolving(client)
    with working(database, Said(Proposed("manual_review"))):
        raised = client.create(new_exception(message="ConnectionError: the disk is full"))
        sessions.wait_until(lambda: _described(client, raised.name))
    assert not _sessions_about(sessions, raised.name)


def _described(client: Client, name: str):
    exception = client.get(name)
    return exception if exception.description else None


def _sessions_about(sessions: Sessions, exception: str):
    id = exception.rpartition("/")[2]
    request = service.ListAgentSessionsRequest(parent=WORKSPACE, filter=f"exception = {id}")
    return list(sessions.sessions.ListAgentSessions(request).agent_sessions)


def _self_resolving(client: Client) -> None:
    """An entry in use that resolves what says KeyError by itself."""
    source = client.raise_one()
    client.resolve(source.name)
    entry = guide_entry_pb2.GuideEntry(
        title="KeyError",
        resolution_steps="Run it again",
        source_exception=source.name,
        action_type="retry_run",
        self_resolving=True,
    )
    request = guide_entry_service_pb2.CreateGuideEntryRequest(parent=AUTOMATION, guide_entry=entry)
    created = client.guide_entries.CreateGuideEntry(request)
    approval = guide_entry_service_pb2.ApproveGuideEntryRequest(name=created.name)
    client.guide_entries.ApproveGuideEntry(approval)
