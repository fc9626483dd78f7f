"""What becomes of actions whose attempts never leave, are cut off, or may not be repeated."""

import threading
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import grpc
import psycopg
import pytest
from kintsugi.v1 import agent_session_pb2 as pb

from server.sessions import execution
from server.sessions.reasoner import Proposed
from server.store import attempts
from tests.integration.client import Client
from tests.integration.working import REPROCESS, Said, Sessions, states, working
from tests.targets import Holding, holding

NOWHERE = "http://127.0.0.1:1/{batch}"
"""Nobody listens there."""


@pytest.fixture
def sessions(client: Client) -> Sessions:
    return Sessions(client)


@pytest.fixture
def target() -> Iterator[Holding]:
    with holding() as target:
        yield target


def _approved(sessions: Sessions) -> pb.AgentSession:
    session = sessions.wait(sessions.start().name, "AWAITING_CONFIRMATION")
    return sessions.execute(session)


def _attempts(database: str) -> list[Any]:
    with psycopg.connect(database) as connection:
        return connection.execute(
            "SELECT outcome, end_time IS NULL FROM action_attempts ORDER BY number"
        ).fetchall()


def _later(database: str) -> None:
    """As if what is waited for were over."""
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("UPDATE agent_sessions SET due_time = clock_timestamp()")


def _between_attempts(database: str, sessions: Sessions, **http: Any) -> pb.AgentSession:
    """A session whose action never left here, and is to be tried again in a minute."""
    retry = {"initial_backoff": {"seconds": 60}} | http.pop("retry", {})
    sessions.connect(Holding(), url=NOWHERE, retry=retry, **http)
    session = _approved(sessions)
    sessions.wait_until(lambda: _attempts(database) == [("unsent", False)])
    return session


def _ended(session: pb.AgentSession) -> pb.AgentSession | None:
    return None if "EXECUTING" in states(session) else session


def test_a_request_in_flight_ends_before_its_worker_does(database, sessions, target):
    sessions.connect(target)
    with ExitStack() as running:
        running.enter_context(working(database, Said(REPROCESS), grace_seconds=0))
        target.free.clear()
        session = _approved(sessions)
        sessions.wait_until(lambda: target.keys)
        stop = threading.Thread(target=running.pop_all().close)
    stop.start()
    stop.join(1)
    assert stop.is_alive()
    target.free.set()
    stop.join()
    assert states(sessions.get(session.name)) == ["SUCCEEDED"]


def test_a_worker_waits_only_so_long_for_a_request(database, sessions, target):
    sessions.connect(target)
    target.free.clear()
    with working(database, Said(REPROCESS), worker_grace_seconds=0):
        session = _approved(sessions)
        sessions.wait_until(lambda: target.keys)
    assert states(sessions.get(session.name)) == ["UNKNOWN", "PROPOSED"]


def test_what_is_sent_when_its_session_is_cancelled_ends_as_it_ends(database, sessions, target):
    sessions.connect(target)
    target.free.clear()
    noticed = threading.Event()
    with working(database, Said(REPROCESS)):
        session = _approved(sessions)
        sessions.wait_until(lambda: target.keys)
        sessions.cancel(session.name)
        noticed.wait(1)  # and is not interrupted
        target.free.set()
        ended = sessions.wait_until(lambda: _ended(sessions.get(session.name)))
    assert states(ended) == ["SUCCEEDED"]
    assert ended.state == pb.AgentSession.STATE_CANCELLED


def test_what_never_left_has_failed_when_its_connector_is_another(database, sessions, target):
    with working(database, Said(REPROCESS)):
        session = _between_attempts(database, sessions)
        sessions.connect_anew(target)
        _later(database)
        again = sessions.wait(session.name, "AWAITING_CONFIRMATION")
    assert states(again) == ["FAILED", "PROPOSED"]
    assert "connector" in again.actions[0].result.error
    assert target.keys == []


def test_what_never_left_has_failed_when_its_session_is_cancelled(database, sessions):
    with working(database, Said(REPROCESS)):
        session = _between_attempts(database, sessions)
        sessions.cancel(session.name)  # for whose end the next attempt isn't waited
        ended = sessions.wait_until(lambda: _ended(sessions.get(session.name)))
    assert states(ended) == ["FAILED"]


def test_what_never_left_is_given_up_when_its_exception_was_dealt_with(database, client, sessions):
    with working(database, Said(REPROCESS, REPROCESS)):
        session = _between_attempts(database, sessions)
        client.resolve(session.exception)
        _later(database)
        ended = sessions.wait(session.name, "CANCELLED")
    assert states(ended) == ["FAILED", "CANCELLED"]
    why = "its exception was dealt with meanwhile"
    assert [ended.actions[0].result.error, ended.actions[1].state_reason] == [why, why]


def test_what_is_approved_is_not_begun_when_its_exception_was_dealt_with(
    database, client, sessions, target
):
    sessions.connect(target)
    with working(database, Said(REPROCESS)):
        session = sessions.wait(sessions.start().name, "AWAITING_CONFIRMATION")
    sessions.execute(session)
    client.resolve(session.exception)
    with working(database, Said(REPROCESS)):
        ended = sessions.wait(session.name, "CANCELLED")
    assert states(ended) == ["CANCELLED"]
    assert target.keys == []


def test_what_was_cut_off_once_is_unknown_though_the_last_attempt_never_left(
    database, sessions, target
):
    with working(database, Said(REPROCESS)):
        session = _cut_off_once(database, sessions, target)
        target.stop()
        _later(database)
        again = sessions.wait(session.name, "AWAITING_CONFIRMATION")
    assert states(again) == ["UNKNOWN", "PROPOSED"]
    assert _attempts(database) == [("cut off", False), ("unsent", False)]


def test_what_was_cut_off_once_is_unknown_though_the_last_attempt_was_refused(
    database, sessions, target
):
    with working(database, Said(REPROCESS)):
        session = _cut_off_once(database, sessions, target)
        target.status = 503
        target.free.set()
        _later(database)
        again = sessions.wait(session.name, "AWAITING_CONFIRMATION")
    assert states(again) == ["UNKNOWN", "PROPOSED"]
    assert "an attempt before that was cut off" in again.actions[0].result.error


def _cut_off_once(database, sessions, target):
    """A session that has tried for the first time; the second attempt is a minute away."""
    retry = {"max_attempts": 2, "initial_backoff": {"seconds": 60}}
    timeout = {"nanos": 300_000_000}
    sessions.connect(target, idempotent=True, retry=retry, timeout=timeout)
    target.free.clear()
    session = _approved(sessions)
    sessions.wait_until(lambda: _attempts(database) == [("cut off", False)])
    return session


@pytest.mark.parametrize(
    ("http", "why"),
    [
        ({"auth": {"secret": "env:KINTSUGI_SECRET_UNSET"}}, "isn't set"),
        ({"allow_private": False}, "private"),
    ],
)
def test_what_is_refused_here_has_failed_at_once(database, sessions, target, http, why):
    sessions.connect(target, retry={"initial_backoff": {"seconds": 60}}, **http)
    with working(database, Said(REPROCESS)):
        again = sessions.wait(_approved(sessions).name, "AWAITING_CONFIRMATION")
    assert states(again) == ["FAILED", "PROPOSED"]
    assert why in again.actions[0].result.error
    assert _attempts(database) == [("refused", False)]
    assert target.keys == []


def test_what_was_cut_off_once_is_unknown_though_it_is_refused_then(
    database, sessions, target, monkeypatch
):
    monkeypatch.setenv("KINTSUGI_SECRET_BILLING", "s3cret")
    retry = {"initial_backoff": {"seconds": 60}}
    timeout = {"nanos": 300_000_000}
    auth = {"secret": "env:KINTSUGI_SECRET_BILLING"}
    sessions.connect(target, idempotent=True, retry=retry, timeout=timeout, auth=auth)
    target.free.clear()
    with working(database, Said(REPROCESS)):
        session = _approved(sessions)
        sessions.wait_until(lambda: _attempts(database) == [("cut off", False)])
        monkeypatch.delenv("KINTSUGI_SECRET_BILLING")
        _later(database)
        again = sessions.wait(session.name, "AWAITING_CONFIRMATION")
    assert states(again) == ["UNKNOWN", "PROPOSED"]
    assert _attempts(database) == [("cut off", False), ("refused", False)]


def test_a_taken_over_action_has_no_more_attempts_than_it_may(database, sessions, target):
    sessions.connect(target, idempotent=True, retry={"max_attempts": 1})
    with working(database, Said(REPROCESS)):
        session = sessions.wait(sessions.start().name, "AWAITING_CONFIRMATION")
    sessions.execute(session)
    _cut_off(database)
    with working(database, Said(REPROCESS)):
        again = sessions.wait(session.name, "AWAITING_CONFIRMATION")
    assert states(again) == ["UNKNOWN", "PROPOSED"]
    assert target.keys == []


def test_a_session_that_is_given_up_leaves_no_attempt_open(database, sessions, target):
    sessions.connect(target)
    with working(database, Said(REPROCESS)):
        session = sessions.wait(sessions.start().name, "AWAITING_CONFIRMATION")
    sessions.execute(session)
    _cut_off(database)
    _give_up(database)
    with working(database, Said(REPROCESS)):
        failed = sessions.wait(session.name, "FAILED")
    assert states(failed) == ["UNKNOWN"]
    assert "was cut off" in failed.actions[0].result.error
    assert failed.error in failed.actions[0].result.error
    assert _attempts(database) == [("cut off", False)]


def test_what_never_left_has_failed_when_its_session_is_given_up(database, sessions):
    with working(database, Said(REPROCESS)):
        session = _between_attempts(database, sessions)
        _give_up(database)
        failed = sessions.wait(session.name, "FAILED")
    assert states(failed) == ["FAILED"]
    assert failed.actions[0].result.error == failed.error
    assert _attempts(database) == [("unsent", False)]


def _give_up(database: str) -> None:
    """As if it had been tried in vain to go on."""
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("UPDATE agent_sessions SET attempts = 20, due_time = clock_timestamp()")


def _cut_off(database: str) -> None:
    """As if a worker had died with its only attempt under way."""
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("UPDATE actions SET state = 3")
        connection.execute(
            "INSERT INTO action_attempts (workspace, session, action, number, lease, not_after)"
            " SELECT workspace, session, id, 1, gen_random_uuid(), clock_timestamp() FROM actions"
        )


def test_a_reported_run_leaves_no_attempt_open(database, client, sessions):
    exception = client.raise_one(extra={"retry": "exec"})
    with working(database, Said(Proposed("retry_run"))):
        session = sessions.wait(sessions.start(exception.name).name, "AWAITING_CONFIRMATION")
        sessions.execute(session)
        sessions.run_again(session.actions[0].name, exit_code=3)
        sessions.wait(session.name, "AWAITING_CONFIRMATION")
    assert _attempts(database) == [("failed", False)]


def test_a_run_that_is_taken_at_the_last_moment_is_either_taken_or_failed(
    database, client, sessions, monkeypatch
):
    """Whoever claims while a worker decides that nobody has waits until it has decided."""
    monkeypatch.setattr(execution, "_CLAIM_SECONDS", 0.2)
    claiming: list[threading.Thread] = []
    refused: list[grpc.RpcError] = []
    last = attempts.last

    def claim(action: str) -> None:
        try:
            sessions.claim_once(action)
        except grpc.RpcError as error:
            refused.append(error)

    def claimed_meanwhile(transaction: Any, key: dict[str, Any]) -> attempts.Attempt | None:
        found = last(transaction, key)
        if found and found.seconds_left <= 0 and not claiming:
            claiming.append(threading.Thread(target=claim, args=[session.actions[0].name]))
            claiming[0].start()
            claiming[0].join(0.5)
        return found

    exception = client.raise_one(extra={"retry": "exec"})
    with working(database, Said(Proposed("retry_run"))):
        session = sessions.wait(sessions.start(exception.name).name, "AWAITING_CONFIRMATION")
        monkeypatch.setattr(attempts, "last", claimed_meanwhile)
        sessions.execute(session)
        again = sessions.wait(session.name, "AWAITING_CONFIRMATION")
    claiming[0].join()
    assert states(again) == ["FAILED", "PROPOSED"]
    assert len(refused) == 1
