"""What workers make of sessions: analysed, proposed, executed, and the exception resolved."""

import threading
import time
from collections.abc import Iterator

import psycopg
import pytest
from kintsugi.v1 import agent_session_pb2 as pb
from kintsugi.v1 import exception_pb2, guide_entry_service_pb2
from kintsugi.v1.risk_pb2 import RISK_MEDIUM, RISK_UNSPECIFIED

from server.domain.errors import DatabaseUnavailable
from server.sessions import execution, runtime
from server.sessions.reasoner import Conclusion, Proposed, Subject, Work
from server.sessions.task import Stopped, Task
from tests.integration.client import Client
from tests.integration.working import (
    REPROCESS,
    SECONDS,
    Said,
    Sessions,
    approve,
    self_resolving,
    states,
    working,
)
from tests.targets import Holding, holding

SEEN = {"connector": "reprocess", "connector_revision": 1, "risk": RISK_MEDIUM}
"""What the approver of a guide entry saw of the connector of REPROCESS."""


@pytest.fixture
def sessions(client: Client) -> Sessions:
    return Sessions(client)


@pytest.fixture
def target() -> Iterator[Holding]:
    with holding() as target:
        yield target


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


def test_a_failed_action_is_proposed_anew_with_those_after_it(database, client, sessions, target):
    sessions.connect(target)
    target.status = 500
    with working(database, Said(REPROCESS, REPROCESS)):
        session = sessions.wait(sessions.start().name, "AWAITING_CONFIRMATION")
        sessions.execute(session)
        again = sessions.wait(session.name, "AWAITING_CONFIRMATION")
    assert states(again) == ["FAILED", "CANCELLED", "PROPOSED", "PROPOSED"]
    first, second, *others = again.actions
    assert [action.replaces for action in others] == [first.name, second.name]
    assert first.result.response["status"] == 500
    assert client.get(session.exception).state == exception_pb2.EXCEPTION_STATE_PENDING


def test_what_was_proposed_anew_can_succeed(database, sessions, target):
    sessions.connect(target)
    target.status = 500
    with working(database, Said(REPROCESS)):
        session = sessions.wait(sessions.start().name, "AWAITING_CONFIRMATION")
        sessions.execute(session)
        again = sessions.wait(session.name, "AWAITING_CONFIRMATION")
        target.status = 200
        sessions.execute(again)
        done = sessions.wait(session.name, "COMPLETED")
    assert states(done) == ["FAILED", "SUCCEEDED"]
    assert len(set(target.keys)) == 2


def test_what_was_cut_off_is_unknown_and_asks_a_person(database, sessions, target):
    sessions.connect(target, timeout={"nanos": 300_000_000})
    target.free.clear()
    with working(database, Said(REPROCESS)):
        session = sessions.wait(sessions.start().name, "AWAITING_CONFIRMATION")
        sessions.execute(session)
        again = sessions.wait(session.name, "AWAITING_CONFIRMATION")
    assert states(again) == ["UNKNOWN", "PROPOSED"]
    assert len(target.keys) == 1


def test_what_may_be_repeated_is_under_the_same_key(database, sessions, target):
    sessions.connect(
        target,
        timeout={"nanos": 300_000_000},
        idempotent=True,
        retry={"max_attempts": 2, "initial_backoff": {"nanos": 100_000_000}},
    )
    target.free.clear()
    with working(database, Said(REPROCESS)):
        session = sessions.wait(sessions.start().name, "AWAITING_CONFIRMATION")
        sessions.execute(session)
        again = sessions.wait(session.name, "AWAITING_CONFIRMATION")
    assert states(again) == ["UNKNOWN", "PROPOSED"]
    assert len(target.keys) == 2
    assert len(set(target.keys)) == 1


def test_what_never_left_is_tried_again_and_then_failed(database, sessions, target):
    retry = {"max_attempts": 2, "initial_backoff": {"nanos": 100_000_000}}
    sessions.connect(target, retry=retry)
    target.stop()
    with working(database, Said(REPROCESS)):
        session = sessions.wait(sessions.start().name, "AWAITING_CONFIRMATION")
        sessions.execute(session)
        again = sessions.wait(session.name, "AWAITING_CONFIRMATION")
    assert states(again) == ["FAILED", "PROPOSED"]


def test_what_a_guide_entry_approved_in_advance_is_carried_out_at_once(
    database, client, sessions, target
):
    sessions.connect(target)
    entry = self_resolving(client, REPROCESS)
    standing = REPROCESS._replace(is_standing=True, guide_entry=entry, **SEEN)
    with working(database, Said(standing)):
        done = sessions.wait(sessions.start().name, "COMPLETED")
    [action] = done.actions
    assert action.approver == "policies/guide_entry"
    assert action.HasField("approve_time")
    assert client.get(done.exception).resolution_guide_entry == entry


@pytest.mark.parametrize(
    "changed",
    [
        {"self_resolving": False},
        {"action_type": "retry_run"},
        {"action_parameters": {"batch": "b-8"}},
    ],
)
def test_what_was_approved_in_advance_needs_a_person_once_its_entry_says_otherwise(
    database, client, sessions, target, changed
):
    sessions.connect(target)
    entry = self_resolving(client, REPROCESS)
    standing = REPROCESS._replace(is_standing=True, guide_entry=entry, **SEEN)

    def revoke(_: Work) -> None:
        client.guide_entries.UpdateGuideEntry(
            guide_entry_service_pb2.UpdateGuideEntryRequest(
                guide_entry={"name": entry, **changed}, update_mask={"paths": list(changed)}
            )
        )
        approve(client, entry)

    with working(database, Said(standing, before=revoke)):
        session = sessions.wait(sessions.start().name, "AWAITING_CONFIRMATION", "COMPLETED")
    assert (states(session), target.keys) == (["PROPOSED"], [])


def test_what_was_approved_in_advance_needs_a_person_once_its_entry_is_deleted(
    database, client, sessions, target
):
    sessions.connect(target)
    entry = self_resolving(client, REPROCESS)
    standing = REPROCESS._replace(is_standing=True, guide_entry=entry, **SEEN)

    def revoke(_: Work) -> None:
        client.guide_entries.DeleteGuideEntry(
            guide_entry_service_pb2.DeleteGuideEntryRequest(name=entry)
        )

    with working(database, Said(standing, before=revoke)):
        session = sessions.wait(sessions.start().name, "AWAITING_CONFIRMATION", "COMPLETED")
    assert (states(session), target.keys) == (["PROPOSED"], [])


def test_what_was_approved_in_advance_needs_a_person_for_another_failure(
    database, client, sessions, target
):
    sessions.connect(target)
    entry = self_resolving(client, REPROCESS)
    standing = REPROCESS._replace(is_standing=True, guide_entry=entry, **SEEN)
    other = client.raise_one(message="ConnectionError: the disk is full").name
    with working(database, Said(standing)):
        session = sessions.wait(sessions.start(other).name, "AWAITING_CONFIRMATION", "COMPLETED")
    assert (states(session), target.keys) == (["PROPOSED"], [])


def test_what_a_cancelled_session_may_have_done_is_not_done_again_without_a_person(
    database, client, sessions, target
):
    sessions.connect(target, url=f"{target.url}/batches/{{batch}}?for={{action.name}}")
    entry = self_resolving(client, REPROCESS)
    standing = REPROCESS._replace(is_standing=True, guide_entry=entry, **SEEN)
    other = REPROCESS._replace(parameters={"batch": "b-8"})
    target.free.clear()
    with working(database, Said(standing, other)):
        first = sessions.start()
        sessions.wait_until(lambda: target.keys)
        sessions.cancel(first.name)
        [before, _] = sessions.get(first.name).actions
        session = sessions.start(first.exception)
        session = sessions.wait(session.name, "AWAITING_CONFIRMATION", "COMPLETED")
        target.free.set()
        sessions.wait_until(lambda: states(sessions.get(first.name)) == ["SUCCEEDED", "CANCELLED"])
        sessions.cancel(session.name)
        again = sessions.start(first.exception)
        again = sessions.wait(again.name, "AWAITING_CONFIRMATION", "COMPLETED")
    for one, state in ((session, "EXECUTING"), (again, "SUCCEEDED")):
        why = f"it may be done twice: {before.name} was begun, and is {state}"
        assert states(one) == ["PROPOSED", "PROPOSED"]
        assert one.actions[0].state_reason.startswith(why)
        assert not one.actions[1].state_reason
    assert len(target.keys) == 1


def test_what_is_unknown_of_an_earlier_session_is_told_until_it_is_approved(
    database, client, sessions, target
):
    sessions.connect(target, timeout={"nanos": 300_000_000})
    target.free.clear()
    with working(database, Said(REPROCESS)):
        first = sessions.wait(sessions.start().name, "AWAITING_CONFIRMATION")
        sessions.execute(first)
        cut_off = sessions.wait(first.name, "AWAITING_CONFIRMATION")
        sessions.cancel(first.name)
        target.free.set()
        again = sessions.wait(sessions.start(first.exception).name, "AWAITING_CONFIRMATION")
        assert (
            f"{cut_off.actions[0].name} was begun, and is UNKNOWN" in again.actions[0].state_reason
        )
        assert any("it may be done twice" in said for said in sessions.said(again))
        sessions.execute(again)
        done = sessions.wait(again.name, "COMPLETED")
    assert (states(done), done.actions[0].state_reason) == (["SUCCEEDED"], "")


def test_what_there_is_no_room_for_is_left_to_people(database, sessions, target):
    sessions.connect(target)
    large = REPROCESS._replace(parameters={"batch": "b-7", "log": "x" * 300_000})
    with working(database, Said(*[large] * 4, REPROCESS)):
        session = sessions.wait(sessions.start().name, "AWAITING_CONFIRMATION")
        assert [each.automated for each in session.actions] == [True, True, True, False, True]
        assert "1048576 bytes" in session.actions[3].state_reason
        assert not session.actions[3].parameters
        target.status = 500
        sessions.execute(session, session.actions[0].name)
        again = sessions.wait_until(lambda: _with(sessions.get(session.name), 6))
    assert (again.actions[5].replaces, again.actions[5].automated) == (again.actions[0].name, False)
    assert again.ByteSize() < 1_100_000


def _with(session: pb.AgentSession, number: int) -> pb.AgentSession | None:
    """The session once it has so many actions."""
    return session if len(session.actions) == number else None


def test_an_approved_action_is_not_sent_once_its_connector_is_another(
    database, client, sessions, target
):
    sessions.connect(target)
    with working(database, Said(REPROCESS)):
        session = sessions.wait(sessions.start().name, "AWAITING_CONFIRMATION")
    sessions.execute(session)
    sessions.connect_anew(target, method="PUT")
    with working(database, Said(REPROCESS)):
        again = sessions.wait(session.name, "AWAITING_CONFIRMATION")
    assert states(again) == ["EXPIRED", "PROPOSED"]
    assert "connector" in again.actions[0].state_reason
    assert target.keys == []


def test_nobody_waiting_for_a_run_fails_its_retry(database, client, sessions, monkeypatch):
    monkeypatch.setattr(execution, "_CLAIM_SECONDS", 0.2)
    exception = client.raise_one(extra={"retry": "exec"})
    with working(database, Said(Proposed("retry_run"))):
        session = sessions.wait(sessions.start(exception.name).name, "AWAITING_CONFIRMATION")
        sessions.execute(session)
        again = sessions.wait(session.name, "AWAITING_CONFIRMATION")
    assert states(again) == ["FAILED", "PROPOSED"]
    assert again.actions[0].result.error == "nobody waits for the run"


def test_a_claimed_retry_that_succeeds_resolves(database, client, sessions):
    exception = client.raise_one(extra={"retry": "exec"})
    with working(database, Said(Proposed("retry_run"))):
        session = sessions.wait(sessions.start(exception.name).name, "AWAITING_CONFIRMATION")
        sessions.execute(session)
        sessions.run_again(session.actions[0].name, exit_code=0)
        done = sessions.wait(session.name, "COMPLETED")
    assert states(done) == ["SUCCEEDED"]
    assert client.get(exception.name).state == exception_pb2.EXCEPTION_STATE_RESOLVED


def test_a_claimed_retry_that_nobody_keeps_is_unknown(database, client, sessions, until):
    exception = client.raise_one(extra={"retry": "exec"})
    with working(database, Said(Proposed("retry_run"))):
        session = sessions.wait(sessions.start(exception.name).name, "AWAITING_CONFIRMATION")
        sessions.execute(session)
        sessions.claim(session.actions[0].name)
        with psycopg.connect(database, autocommit=True) as connection:
            connection.execute("UPDATE actions SET claim_until = clock_timestamp()")
            connection.execute("UPDATE agent_sessions SET due_time = clock_timestamp()")
        again = sessions.wait(session.name, "AWAITING_CONFIRMATION")
    assert states(again) == ["UNKNOWN", "PROPOSED"]


def test_a_cancelled_analysis_stops(database, sessions):
    begun, stopped = threading.Event(), threading.Event()

    def until_stopped(work: Work) -> None:
        begun.set()
        try:
            while True:
                work.check()
                time.sleep(0.01)
        except Stopped:
            stopped.set()
            raise

    with working(database, Said(before=until_stopped)):
        session = sessions.start()
        assert begun.wait(SECONDS)
        sessions.cancel(session.name)
        assert stopped.wait(SECONDS)
    assert sessions.get(session.name).state == pb.AgentSession.STATE_CANCELLED


def test_an_analysis_that_takes_too_long_fails(database, sessions):
    def for_ever(work: Work) -> None:
        while True:
            work.check()
            time.sleep(0.01)

    with working(database, Said(before=for_ever), analysis_seconds=0.2):
        session = sessions.wait(sessions.start().name, "FAILED")
    assert session.error == "the analysis took longer than 0.2 s"


def test_an_analysis_that_never_ends_well_is_given_up(database, sessions, monkeypatch):
    monkeypatch.setattr(runtime, "_PAUSE_SECONDS", 0.001)

    def break_down(_: Work) -> None:
        raise ZeroDivisionError

    reasoner = Said(before=break_down)
    with working(database, reasoner):
        session = sessions.wait(sessions.start().name, "FAILED")
    assert session.error == "the analysis was begun 5 times, and never came to its end"
    assert len(reasoner.runs) == 1, "a finished step is not done again"


def test_an_analysis_fails_in_time_though_the_database_is_away_each_time(database, sessions):
    def be_away(_: Work) -> None:
        raise DatabaseUnavailable

    with working(database, Said(before=be_away), analysis_seconds=1):
        session = sessions.wait(sessions.start().name, "FAILED")
    assert session.error == "the analysis took longer than 1 s"


def test_nothing_more_is_said_after_a_session_was_cancelled(database, sessions, monkeypatch):
    went_on = threading.Event()
    monkeypatch.setattr(Task, "seen", lambda *_: None)  # as long as its worker hasn't noticed

    class Cancelled(Said):
        def analyse(self, subject: Subject, work: Work) -> Conclusion:
            sessions.cancel(subject.session.name)
            went_on.set()
            return super().analyse(subject, work)

    with working(database, Cancelled(Proposed("manual_review"))):
        session = sessions.start()
        assert went_on.wait(SECONDS)
        sessions.wait_until(lambda: _is_let_go(database))
    assert sessions.said(session)[-1].startswith("Cancelled")


def _is_let_go(database: str) -> bool:
    with psycopg.connect(database) as connection:
        statement = "SELECT bool_and(lease IS NULL AND due_time IS NULL) FROM agent_sessions"
        return bool(connection.execute(statement).fetchone()[0])


def test_a_session_goes_on_though_no_thread_could_be_started(database, sessions, monkeypatch):
    start, failed = threading.Thread.start, threading.Event()

    def fail_once(thread: threading.Thread) -> None:
        if thread.name == "session" and not failed.is_set():
            failed.set()
            raise RuntimeError
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", fail_once)
    with working(database, Said(Proposed("manual_review"))):
        sessions.wait(sessions.start().name, "AWAITING_CONFIRMATION")
    assert failed.is_set()


def test_a_session_that_nobody_answers_expires(database, start_server):
    sessions = Sessions(start_server(approval_seconds=1))
    with working(database, Said(REPROCESS), approval_seconds=1):
        proposed = sessions.start()
        waiting = sessions.start(start=pb.AgentSession.START_ON_PROPOSE)
        ended = sessions.wait(proposed.name, "EXPIRED")
        assert sessions.wait(waiting.name, "EXPIRED").error
    assert states(ended) == ["EXPIRED"]


def test_a_session_ends_when_its_exception_is_dealt_with(database, client, sessions):
    with working(database, Said(REPROCESS)):
        session = sessions.wait(sessions.start().name, "AWAITING_CONFIRMATION")
        client.resolve(session.exception)
        ended = sessions.wait(session.name, "CANCELLED")
    assert ended.error == "its exception was dealt with meanwhile"
    assert states(ended) == ["CANCELLED"]


def test_nothing_to_do_completes_and_leaves_the_exception(database, client, sessions):
    with working(database, Said()):
        session = sessions.wait(sessions.start().name, "COMPLETED")
    assert client.get(session.exception).state == exception_pb2.EXCEPTION_STATE_PENDING


def test_a_session_about_a_signal_has_its_own_thread(database, sessions):
    with working(database, Said(Proposed("manual_review"))):
        session = sessions.start(signal={"title": "PaymentBatchFailed", "message": "b-7 failed"})
        sessions.wait(session.name, "AWAITING_CONFIRMATION")
    assert session.thread == session.name
    assert "It broke." in sessions.said(session)


def test_the_thread_tells_all_of_it_in_order(database, sessions, target):
    sessions.connect(target)
    with working(database, Said(REPROCESS)):
        session = sessions.wait(sessions.start().name, "AWAITING_CONFIRMATION")
        sessions.execute(session)
        sessions.wait(session.name, "COMPLETED")
    told = sessions.said(session)
    expected = [
        "Raised: `KeyError: 'total'`",
        "Started by users/local.",
        "Looking at what happened.",
        "Looking.",
        "Look",
        '{"found": "nothing"}',
        "It broke.",
        "`reprocess` proposed.",
        "Waiting for approval.",
        "Executing what was approved.",
        "`reprocess` approved by users/local.",
        "`reprocess` begun.",
        "reprocess",
        "`reprocess` succeeded.",
    ]
    assert sorted(told[: len(expected)]) == sorted(expected)
    assert told[-1:] == ["Completed."]
    assert told.count("Completed.") == 1


def test_the_audit_has_each_analysis_with_its_tokens(database, sessions):
    with working(database, Said(Proposed("manual_review"))):
        session = sessions.wait(sessions.start().name, "AWAITING_CONFIRMATION")
    with psycopg.connect(database) as connection:
        rows = connection.execute(
            "SELECT principal, resource, after FROM pending_audit_entries WHERE type = %(type)s"
            " UNION ALL SELECT principal, resource, after FROM audit_entries WHERE type = %(type)s",
            {"type": "aiagent.response.complete"},
        ).fetchall()
    tokens = {"total_prompt_tokens": 3, "total_completion_tokens": 4}
    assert rows == [("agents/resolution_agent", session.name, tokens)]


@pytest.mark.parametrize(
    "other",
    [
        {"risk": RISK_UNSPECIFIED},
        {"connector_revision": 2},
        {"connector": "other"},
        {"replaces": "agentSessions/s/actions/a"},
    ],
)
def test_what_is_not_what_was_approved_in_advance_waits(database, sessions, target, other):
    sessions.connect(target)
    standing = REPROCESS._replace(is_standing=True, **(SEEN | other))
    with working(database, Said(standing)):
        session = sessions.wait(sessions.start().name, "AWAITING_CONFIRMATION")
    assert states(session) == ["PROPOSED"]
    assert target.keys == []
