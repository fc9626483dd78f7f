"""What people say to actions: exactly what was shown is approved, once, by one of them.

No worker runs here; what one would write is written by `sessions.Worker`.
"""

import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import grpc
import psycopg
import pytest
from google.rpc import error_details_pb2
from kintsugi.v1 import agent_session_pb2 as pb
from kintsugi.v1 import agent_session_service_pb2 as service

from server.domain.call import Call, entered
from server.operations import approval, session_progress
from server.operations.opened_session import AgentSessions
from server.operations.session_turn import Desk
from server.store import leases
from server.store.connection import Database
from server.store.notifier import Notifier
from server.store.store import Store
from server.store.topics import SESSIONS
from tests.integration.client import Client, detail, reason, violations
from tests.integration.sessions import (
    ANALYZING,
    AWAITING,
    CANCELLED,
    COMPLETED,
    EXECUTING,
    EXPIRED,
    FAILED,
    STARTED,
    TYPE,
    Action,
    Worker,
    ask,
    cancel,
    change_connector,
    chosen,
    connect,
    delete_connector,
    execute,
    get,
    reject,
    start,
    told,
    waiting,
)

FAILED_PRECONDITION = grpc.StatusCode.FAILED_PRECONDITION
PROPOSED, APPROVED, REJECTED = (
    Action.STATE_PROPOSED,
    Action.STATE_APPROVED,
    Action.STATE_REJECTED,
)


@pytest.fixture
def worker(database: str) -> Worker:
    return Worker(database)


def refusal(call: Callable[[], Any]) -> grpc.RpcError:
    with pytest.raises(grpc.RpcError) as error:
        call()
    return error.value


def precondition(call: Callable[[], Any]) -> tuple[str, str]:
    """What the refusal is about, and what it says."""
    error = refusal(call)
    assert error.code() is FAILED_PRECONDITION
    assert reason(error) == "ILLEGAL_TRANSITION"
    [violation] = detail(error, error_details_pb2.PreconditionFailure).violations
    return violation.subject, violation.description


def changes(database: str) -> int:
    with psycopg.connect(database) as connection:
        [(count,)] = connection.execute("SELECT count(*) FROM changes").fetchall()
        return int(count)


def test_what_is_approved_is_executed_and_says_by_whom(client: Client, worker: Worker) -> None:
    session = waiting(client, worker, "retry_run", "manual_review")
    retry, review = session.actions
    approved = execute(client, session.name, retry, note="put the total in", etag=session.etag)
    assert approved.state == EXECUTING
    assert not approved.HasField("expire_time")
    assert approved.etag != session.etag
    assert [each.state for each in approved.actions] == [APPROVED, PROPOSED]
    assert approved.actions[0].approver == "users/local"
    assert approved.actions[0].HasField("approve_time")
    assert approved.actions[0].digest == retry.digest
    assert approved.actions[1] == review
    assert get(client, session.name) == approved
    row = worker.row(session.name)
    assert (row["is_due"], row["note"]) == (True, "put the total in")
    assert told(client, session)[-2:] == [
        "`retry_run` approved by users/local.",
        "Executing what was approved.",
    ]


def test_each_approval_has_its_own_note(client: Client, worker: Worker) -> None:
    session = waiting(client, worker, "retry_run", "retry_run")
    first, second = session.actions
    execute(client, session.name, first, note="added the total")
    worker.analyse(session.name)
    execute(client, session.name, second)
    assert worker.row(session.name)["note"] == ""


def test_an_approval_takes_all_or_none(client: Client, worker: Worker, database: str) -> None:
    session = waiting(client, worker, "retry_run", "manual_review")
    before = changes(database)
    subject, why = precondition(lambda: execute(client, session.name, *session.actions))
    assert subject == session.actions[1].name
    assert why == f"{subject} is done by a person"
    assert get(client, session.name) == session
    assert changes(database) == before


def test_nobody_waits_for_a_run_that_exec_does_not_run(client: Client, worker: Worker) -> None:
    session = waiting(client, worker, exception=client.raise_one().name)
    [retry] = session.actions
    assert not retry.automated
    subject, why = precondition(lambda: execute(client, session.name, retry))
    assert why == f"{subject} is done by a person (nobody waits for the run)"


@pytest.mark.parametrize("state", [STARTED, ANALYZING, EXECUTING, COMPLETED, FAILED, CANCELLED])
@pytest.mark.parametrize("decide", [execute, reject])
def test_only_a_session_that_waits_is_decided_on(
    client: Client, worker: Worker, state: int, decide: Callable[..., Any]
) -> None:
    session = waiting(client, worker)
    worker.move(session.name, state)
    subject, why = precondition(lambda: decide(client, session.name, *session.actions))
    assert subject == session.name
    label = pb.AgentSession.State.Name(state).removeprefix("STATE_")
    assert why.startswith(f"the agent session is {label}")
    assert why.endswith("and not AWAITING_CONFIRMATION")


@pytest.mark.parametrize("decide", [execute, reject])
def test_what_has_expired_is_not_decided_on_though_no_worker_was_there(
    client: Client, worker: Worker, decide: Callable[..., Any]
) -> None:
    session = waiting(client, worker)
    worker.expire(session.name)
    for call in (
        lambda: decide(client, session.name, *session.actions),
        lambda: cancel(client, session.name),
        lambda: ask(client, session.name),
    ):
        subject, why = precondition(call)
        assert subject == session.name
        assert why.startswith("the agent session has expired at 20")
    assert get(client, session.name).state == AWAITING


@pytest.mark.parametrize("decide", [execute, reject])
@pytest.mark.parametrize("state", range(2, 10))
def test_only_what_is_proposed_is_decided_on(
    client: Client, worker: Worker, state: int, decide: Callable[..., Any]
) -> None:
    session = waiting(client, worker, "retry_run", "retry_run")
    first, second = session.actions
    worker.move_action(second.name, state)
    subject, why = precondition(lambda: decide(client, session.name, first, second))
    assert subject == second.name
    label = Action.State.Name(state).removeprefix("STATE_")
    assert why.startswith(f"{second.name} is {label}")
    assert why.endswith("and not PROPOSED")


@pytest.mark.parametrize("decide", [execute, reject])
def test_what_its_exception_no_longer_needs_is_not_decided_on(
    client: Client, worker: Worker, decide: Callable[..., Any]
) -> None:
    session = waiting(client, worker)
    client.resolve(session.exception)
    subject, why = precondition(lambda: decide(client, session.name, *session.actions))
    assert (subject, why) == (session.exception, "the exception is RESOLVED, and not PENDING")


@pytest.mark.parametrize("decide", [execute, reject])
def test_a_digest_that_is_given_must_be_the_one_there_is(
    client: Client, worker: Worker, decide: Callable[..., Any]
) -> None:
    session = waiting(client, worker, "retry_run", "retry_run")
    first, second = session.actions
    given = [
        service.ChosenAction(action=first.name, digest=first.digest),
        service.ChosenAction(action=second.name, digest="0" * 64),
    ]
    subject, why = precondition(lambda: decide(client, session.name, actions=given))
    assert subject == second.name
    assert why == f"{second.name} has another digest than the one given: {second.digest}"
    given[1].digest = second.digest
    assert decide(client, session.name, actions=given).state in (EXECUTING, COMPLETED)


def test_a_connector_that_was_changed_since_makes_it_something_else(
    client: Client, worker: Worker
) -> None:
    connector = connect(client)
    session = waiting(client, worker, TYPE)
    [action] = session.actions
    assert action.automated
    change_connector(client, connector)
    subject, why = precondition(lambda: execute(client, session.name, action))
    assert subject == action.name
    assert "the connector was changed after this was proposed" in why
    old, anew = get(client, session.name).actions
    assert (old.state, old.state_reason) == (
        Action.STATE_EXPIRED,
        "the connector was changed after this was proposed",
    )
    assert (anew.state, anew.replaces) == (Action.STATE_PROPOSED, old.name)
    assert anew.name in why
    assert anew.connector_revision == 2
    assert execute(client, session.name, anew).state == EXECUTING


def test_only_looking_proposes_nothing_anew(client: Client, worker: Worker) -> None:
    connector = connect(client)
    session = waiting(client, worker, TYPE)
    change_connector(client, connector)
    precondition(lambda: execute(client, session.name, *session.actions, validate_only=True))
    assert get(client, session.name).actions == session.actions


def test_a_connector_that_is_gone_carries_nothing_out(client: Client, worker: Worker) -> None:
    connector = connect(client)
    session = waiting(client, worker, TYPE)
    delete_connector(client, connector)
    _, why = precondition(lambda: execute(client, session.name, *session.actions))
    assert "its connector is no longer there" in why


@pytest.mark.parametrize(
    "changed",
    [
        {"timeout": {"seconds": 7}},
        {"idempotent": True},
        {"success": {"statuses": [500]}},
        {"auth": {"secret": "env:KINTSUGI_SECRET_OTHER"}},
    ],
)
def test_a_connector_that_was_made_anew_carries_out_nothing_approved_before(
    client: Client, worker: Worker, changed: dict[str, Any]
) -> None:
    connector = connect(client)
    session = waiting(client, worker, TYPE)
    [action] = session.actions
    delete_connector(client, connector)
    connect(client, **changed)
    _, why = precondition(lambda: execute(client, session.name, action))
    assert "the connector was changed after this was proposed" in why
    again = ask(client, session.name, TYPE, parameters={"batch": "b-7"})
    assert again.digest != action.digest


def test_an_exception_that_was_changed_since_makes_it_something_else(
    client: Client, worker: Worker
) -> None:
    connect(client, body='{"host": "{exception.extra.host}"}')
    exception = client.raise_one(extra={"host": "a"})
    session = waiting(client, worker, TYPE, exception=exception.name)
    client.update("extra", name=exception.name, extra={"host": "b"})
    _, why = precondition(lambda: execute(client, session.name, *session.actions))
    assert "what it would send is no longer the same" in why


@pytest.mark.parametrize("decide", [execute, reject])
def test_actions_are_named_once_and_of_this_session(
    client: Client, worker: Worker, decide: Callable[..., Any]
) -> None:
    session, other = waiting(client, worker), waiting(client, worker)
    [action] = session.actions
    nothing = Action(name=f"{session.name}/actions/nothing")
    error = refusal(lambda: decide(client, session.name, action, *other.actions, nothing, action))
    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert violations(error) == {
        "actions[1].action": f"must be an action of {session.name}",
        "actions[2].action": f"{nothing.name} doesn't exist",
        "actions[3].action": "is named twice",
    }
    assert list(violations(refusal(lambda: decide(client, session.name)))) == ["actions"]
    many = [service.ChosenAction(action=action.name)] * 101
    error = refusal(lambda: decide(client, session.name, actions=many))
    assert violations(error)["actions"] == "has 101 entries; at most 100 are allowed"


def test_a_validation_changes_nothing(client: Client, worker: Worker, database: str) -> None:
    session = waiting(client, worker, "retry_run", "manual_review")
    retry, review = session.actions
    before = changes(database)
    assert execute(client, session.name, retry, validate_only=True) == session
    precondition(lambda: execute(client, session.name, review, validate_only=True))
    error = refusal(lambda: execute(client, session.name, retry, validate_only=True, etag="0"))
    assert error.code() is grpc.StatusCode.ABORTED
    assert changes(database) == before
    assert not worker.row(session.name)["is_due"]
    assert execute(client, session.name, retry).state == EXECUTING


class Heard(Notifier):
    """A notifier that keeps what it announces."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.topics: list[str] = []

    def announce(self, *topics: str) -> None:
        self.topics += topics
        super().announce(*topics)


def test_a_validation_wakes_nobody(client: Client, worker: Worker, database: str) -> None:
    session = waiting(client, worker)
    heard, store_database = Heard(database), Database(database, connections=2)
    sessions = AgentSessions(Store(store_database, heard), approval_seconds=60)
    request = service.ExecuteActionsRequest(
        name=session.name, actions=chosen(*session.actions), validate_only=True
    )
    with entered(Call("a/Test", "users/local", time.monotonic() + 30)):
        approval.execute(sessions, request)
        assert heard.topics == []
        request.validate_only = False
        approval.execute(sessions, request)
        assert SESSIONS in heard.topics
    heard.close()
    store_database.close()


def test_whoever_decides_or_asks_changes_the_etag(client: Client, worker: Worker) -> None:
    session = waiting(client, worker, "retry_run", "retry_run")
    first, second = session.actions
    rejected = reject(client, session.name, first, etag=session.etag)
    assert rejected == get(client, session.name)
    ask(client, session.name)
    asked = get(client, session.name)
    assert len({session.etag, rejected.etag, asked.etag}) == 3
    for stale in (session.etag, rejected.etag):
        error = refusal(lambda etag=stale: execute(client, session.name, second, etag=etag))
        assert error.code() is grpc.StatusCode.ABORTED
    assert execute(client, session.name, second, etag=asked.etag).state == EXECUTING


@pytest.mark.parametrize("decide", [execute, reject])
def test_an_etag_that_is_stale_aborts(
    client: Client, worker: Worker, decide: Callable[..., Any]
) -> None:
    session = waiting(client, worker)
    error = refusal(lambda: decide(client, session.name, *session.actions, etag="99"))
    assert error.code() is grpc.StatusCode.ABORTED
    assert reason(error) == "ETAG_MISMATCH"


def test_actions_are_approved_in_the_order_in_which_they_were_proposed(
    client: Client, worker: Worker
) -> None:
    session = waiting(client, worker, "retry_run", "retry_run", "retry_run")
    execute(client, session.name, *reversed(session.actions))
    states = [each.state for each in get(client, session.name).actions]
    assert states == [APPROVED] * 3


def test_a_rejected_action_says_by_whom_and_why(client: Client, worker: Worker) -> None:
    session = waiting(client, worker, "retry_run", "manual_review")
    first, second = session.actions
    left = reject(client, session.name, second, reason="nobody has time")
    assert left.state == AWAITING
    rejected = left.actions[1]
    assert (rejected.state, rejected.approver) == (REJECTED, "users/local")
    assert rejected.state_reason == "nobody has time"
    assert rejected.HasField("approve_time")
    assert left.actions[0] == first
    assert execute(client, session.name, first).state == EXECUTING


def test_a_session_of_which_all_is_rejected_is_completed(client: Client, worker: Worker) -> None:
    session = waiting(client, worker, "retry_run", "manual_review")
    reject(client, session.name, session.actions[0])
    done = reject(client, session.name, session.actions[1])
    assert done.state == COMPLETED
    assert done.HasField("end_time")
    assert not done.HasField("expire_time")
    assert worker.row(session.name)["is_due"] is None
    assert get(client, session.name) == done
    assert client.get(session.exception).resolver == ""
    start(client, session.exception)


@pytest.mark.parametrize("decide", [execute, reject])
def test_a_repeated_decision_changes_nothing(
    client: Client, worker: Worker, database: str, decide: Callable[..., Any]
) -> None:
    session = waiting(client, worker, "retry_run", "manual_review")
    given = {"request_id": str(uuid.uuid4()), "etag": session.etag}
    first = decide(client, session.name, session.actions[0], **given)
    before = changes(database)
    assert decide(client, session.name, session.actions[0], **given) == first
    assert changes(database) == before
    error = refusal(lambda: decide(client, session.name, session.actions[1], **given))
    assert reason(error) == "REQUEST_ID_REUSED"


def outcomes(*calls: Callable[[], Any]) -> list[str]:
    """What comes of calls that are made at once: `OK`, or what the refusal says."""

    def outcome(call: Callable[[], Any]) -> str:
        try:
            call()
        except grpc.RpcError as error:
            return f"{error.code().name}: {error.details()}"
        return "OK"

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(outcome, calls))


def losers(found: list[str]) -> list[str]:
    """What all but the one that won were told."""
    assert found.count("OK") == 1
    lost = [each for each in found if each != "OK"]
    assert all(each.startswith("FAILED_PRECONDITION: ") for each in lost), lost
    return lost


def races(
    client: Client,
    worker: Worker,
    calls: Callable[[pb.AgentSession], Sequence[Callable[[], Any]]],
    *types: str,
) -> Iterator[tuple[pb.AgentSession, list[str]]]:
    """New sessions, and what came of the calls on each, all made at once."""
    for _ in range(15):
        session = waiting(client, worker, *types)
        yield session, outcomes(*calls(session))


def test_of_many_approvals_one_counts(client: Client, worker: Worker) -> None:
    def approve(session: pb.AgentSession) -> list[Callable[[], Any]]:
        return [lambda: execute(client, session.name, *session.actions)] * 12

    for session, found in races(client, worker, approve):
        why = f"{session.actions[0].name} is APPROVED, by users/local, and not PROPOSED"
        assert all(why in lost for lost in losers(found))
        assert get(client, session.name).state == EXECUTING


PAIRS = [(0, 1), (1, 2), (2, 0)] * 3


def test_of_approvals_that_overlap_one_counts_whole(client: Client, worker: Worker) -> None:
    def approve(session: pb.AgentSession) -> list[Callable[[], Any]]:
        actions = session.actions
        return [partial(execute, client, session.name, actions[a], actions[b]) for a, b in PAIRS]

    for session, found in races(client, worker, approve, *["retry_run"] * 3):
        losers(found)
        actions = get(client, session.name).actions
        won = {at for at, each in enumerate(actions) if each.state == APPROVED}
        assert won == set(PAIRS[found.index("OK")])


def test_of_approval_and_cancelling_one_counts_first(client: Client, worker: Worker) -> None:
    """An approved session can be cancelled still; a cancelled one can't be approved."""

    def both(session: pb.AgentSession) -> list[Callable[[], Any]]:
        return [
            lambda: execute(client, session.name, *session.actions),
            lambda: cancel(client, session.name),
        ]

    for session, (approve, stop) in races(client, worker, both):
        assert stop == "OK"
        found = get(client, session.name)
        assert found.state == CANCELLED
        [action] = found.actions
        assert action.state == Action.STATE_CANCELLED
        assert action.approver == ("users/local" if approve == "OK" else "")
        assert approve == "OK" or "is CANCELLED, which is final" in approve


def test_with_an_etag_exactly_one_of_approval_and_cancelling_counts(
    client: Client, worker: Worker
) -> None:
    def both(session: pb.AgentSession) -> list[Callable[[], Any]]:
        return [
            lambda: execute(client, session.name, *session.actions, etag=session.etag),
            lambda: cancel(client, session.name, etag=session.etag),
        ]

    for _, found in races(client, worker, both):
        [lost] = [each for each in found if each != "OK"]
        assert lost.startswith("ABORTED: ")


def test_of_approval_and_rejection_one_counts(client: Client, worker: Worker) -> None:
    def both(session: pb.AgentSession) -> list[Callable[[], Any]]:
        return [
            lambda: execute(client, session.name, *session.actions),
            lambda: reject(client, session.name, *session.actions),
        ]

    for session, found in races(client, worker, both):
        losers(found)
        state = get(client, session.name).actions[0].state
        assert state == (APPROVED if found[0] == "OK" else REJECTED)


def test_of_approval_and_expiry_one_counts(client: Client, worker: Worker, database: str) -> None:
    """Here a worker's own transaction lets it expire, as soon as it may."""
    connections, notifier = Database(database, connections=2), Notifier(database)
    desk = Desk(Store(connections, notifier), longest_seconds=30, approval_seconds=1)

    def expire() -> None:
        while not (taken := leases.take(connections, 30, 1, 1, {})):
            pass
        if session_progress.look(desk, taken[0]).session.state == AWAITING:
            session_progress.expire(desk, taken[0])

    def both(session: pb.AgentSession) -> list[Callable[[], Any]]:
        worker.analyse(session.name, expires="20 ms")
        return [lambda: execute(client, session.name, *session.actions), expire]

    for session, (approve, _) in races(client, worker, both):
        found = get(client, session.name)
        [action] = found.actions
        if approve == "OK":
            assert (found.state, action.state) == (EXECUTING, APPROVED)
        else:
            assert (found.state, action.state) == (EXPIRED, Action.STATE_EXPIRED)
            assert "has expired" in approve or "is EXPIRED, which is final" in approve
    connections.close()
    notifier.close()


def test_what_is_approved_while_a_worker_looks_is_executed_all_the_same(
    client: Client, worker: Worker, database: str
) -> None:
    session = waiting(client, worker)
    worker.wake(session.name)
    connections, notifier = Database(database, connections=2), Notifier(database)
    desk = Desk(Store(connections, notifier), longest_seconds=30, approval_seconds=1000)
    [lease] = leases.take(connections, 30, 1, 1, {})
    assert session_progress.look(desk, lease).session.state == AWAITING
    execute(client, session.name, *session.actions)
    client.resolve(session.exception)
    session_progress.withdraw(desk, lease)
    assert get(client, session.name).state == EXECUTING
    assert worker.row(session.name)["is_due"]
    connections.close()
    notifier.close()


def test_what_is_expired_is_told_so(client: Client, worker: Worker) -> None:
    session = waiting(client, worker)
    worker.move(session.name, EXPIRED)
    worker.move_action(session.actions[0].name, Action.STATE_EXPIRED)
    subject, why = precondition(lambda: execute(client, session.name, *session.actions))
    assert subject == session.actions[0].name
    assert "is EXPIRED, which is final" in why


def test_of_approval_and_resolving_the_exception_neither_waits_for_the_other(
    client: Client, worker: Worker
) -> None:
    def both(session: pb.AgentSession) -> list[Callable[[], Any]]:
        return [
            lambda: execute(client, session.name, *session.actions),
            lambda: client.resolve(session.exception),
        ]

    for _, (approve, resolve) in races(client, worker, both):
        assert resolve == "OK"
        assert approve == "OK" or "the exception is RESOLVED, and not PENDING" in approve
