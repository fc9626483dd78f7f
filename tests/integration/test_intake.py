"""What workers make of new exceptions: described, and a session where one resolves itself."""

import psycopg
import pytest
from kintsugi.v1 import agent_session_service_pb2 as service

from server.operations import intake
from server.sessions.reasoner import Proposed
from tests.integration.client import WORKSPACE, Client, new_exception
from tests.integration.working import Said, Sessions, self_resolving, working

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
    self_resolving(client, Proposed("retry_run"))
    with working(database, Said(Proposed("manual_review"))):
        raised = client.raise_one()
        [session] = sessions.wait_until(lambda: _sessions_about(sessions, raised.name))
    assert session.creator == "policies/guide_entry"


def test_no_session_is_started_for_an_old_exception(database, client, sessions):
    self_resolving(client, Proposed("retry_run"))
    raised = client.raise_one()
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("UPDATE exceptions SET create_time = create_time - interval '2 hours'")
    with working(database, Said(Proposed("manual_review"))):
        sessions.wait_until(lambda: _described(client, raised.name))
    assert not _sessions_about(sessions, raised.name)


def test_no_session_is_started_for_what_has_one(database, client, sessions):
    self_resolving(client, Proposed("retry_run"))
    raised = client.raise_one()
    started = sessions.start(raised.name)
    with working(database, Said(Proposed("manual_review"))):
        sessions.wait_until(lambda: _described(client, raised.name))
    assert [each.name for each in _sessions_about(sessions, raised.name)] == [started.name]


def test_no_session_is_started_for_another_kind(database, client, sessions):
    self_resolving(client, Proposed("retry_run"))
    with working(database, Said(Proposed("manual_review"))):
        raised = client.create(new_exception(message="ConnectionError: the disk is full"))
        sessions.wait_until(lambda: _described(client, raised.name))
    assert not _sessions_about(sessions, raised.name)


def test_a_session_is_not_forgotten_when_somebody_has_the_exception_locked(
    database, client, sessions, monkeypatch
):
    self_resolving(client, Proposed("retry_run"))
    start, locked = intake._start, []

    def start_while_locked(store, unread):
        with psycopg.connect(database) as connection:
            if unread.id not in locked:
                lock = "SELECT FROM exceptions WHERE id = %s FOR UPDATE"
                connection.execute(lock, [unread.id])
                locked.append(unread.id)
            start(store, unread)

    monkeypatch.setattr(intake, "_start", start_while_locked)
    with working(database, Said(Proposed("manual_review"))):
        raised = client.raise_one()
        sessions.wait_until(lambda: _described(client, raised.name))
    assert locked
    assert len(_sessions_about(sessions, raised.name)) == 1


def test_what_cannot_be_described_keeps_no_other_from_it(database, client, sessions, monkeypatch):
    def describe(exception):
        if "bad" in exception.message:
            raise ValueError(exception.message)
        return "It broke."

    monkeypatch.setattr(intake, "describe", describe)
    other = client.create(new_exception(message="good"))
    bad = client.create(new_exception(message="bad"))
    with working(database, Said()):
        sessions.wait_until(lambda: _described(client, other.name))
    assert not _described(client, bad.name)
    assert _unread(database) == 0


def test_workers_read_different_exceptions(database, client, sessions):
    for n in range(150):
        client.create(new_exception(message=f"failure {n}"))
    with psycopg.connect(database) as first:
        newest = "SELECT id FROM exceptions ORDER BY create_time DESC LIMIT 100 FOR UPDATE"
        first.execute(newest)
        with working(database, Said()):
            sessions.wait_until(lambda: _unread(database) == 100)
    assert _unread(database) == 100


def _unread(database: str) -> int:
    with psycopg.connect(database) as connection:
        count = "SELECT count(*) FROM exceptions WHERE fingerprint IS NULL"
        return connection.execute(count).fetchall()[0][0]


def _described(client: Client, name: str):
    exception = client.get(name)
    return exception if exception.description else None


def _sessions_about(sessions: Sessions, exception: str):
    id = exception.rpartition("/")[2]
    request = service.ListAgentSessionsRequest(parent=WORKSPACE, filter=f"exception = {id}")
    return list(sessions.sessions.ListAgentSessions(request).agent_sessions)
