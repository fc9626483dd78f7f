"""Agent sessions over gRPC: what starts one, what it says of itself, who may wait for it, its end.

No worker runs here; what one would write is written by `sessions.Worker`.
"""

import uuid
from concurrent.futures import ThreadPoolExecutor, as_completed

import grpc
import pytest
from google.rpc import error_details_pb2
from kintsugi.v1 import agent_session_pb2 as pb
from kintsugi.v1 import agent_session_service_pb2 as service
from kintsugi.v1 import event_service_pb2

from tests.integration.client import (
    WORKSPACE,
    Client,
    detail,
    new_run,
    reason,
    violations,
)
from tests.integration.conftest import StartServer
from tests.integration.sessions import (
    ANALYZING,
    AWAITING,
    CANCELLED,
    COMPLETED,
    EXECUTING,
    EXPIRED,
    FAILED,
    STARTED,
    Worker,
    ask,
    cancel,
    execute,
    get,
    propose,
    start,
    told,
    waiting,
)

SIGNAL = {"title": "PaymentBatchFailed", "message": "3 of 40 payments failed"}
FAILED_PRECONDITION = grpc.StatusCode.FAILED_PRECONDITION


@pytest.fixture
def worker(database: str) -> Worker:
    return Worker(database)


def refusal(call: object) -> grpc.RpcError:
    with pytest.raises(grpc.RpcError) as error:
        call()  # type: ignore[operator]
    return error.value


def list_(client: Client, **parameters: object) -> list[str]:
    request = service.ListAgentSessionsRequest(parent=WORKSPACE, **parameters)
    return [each.name for each in client.agent_sessions.ListAgentSessions(request).agent_sessions]


def test_a_session_is_about_a_pending_exception(client: Client, worker: Worker) -> None:
    run = new_run()
    exception = client.raise_one(run=run)
    session = start(client, exception.name)
    assert session.state == STARTED
    assert session.exception == exception.name
    assert session.automation == run.partition("/runs/")[0]
    assert session.thread == f"{run}/agents/kai"
    assert session.agent == "agents/resolution_agent"
    assert session.creator == "users/local"
    assert session.start == pb.AgentSession.START_AUTO
    assert session.number > 0
    assert session.etag
    assert not session.HasField("expire_time")
    assert not session.HasField("end_time")
    assert not session.HasField("analysis")
    assert worker.row(session.name)["is_due"]
    assert get(client, session.name) == session
    assert told(client, session)[-1] == "Started by users/local."


def test_a_session_is_about_a_signal(client: Client) -> None:
    signal = pb.Signal(**SIGNAL, severity="high")
    signal.details["batch"] = "b-7"
    session = start(client, signal=signal)
    assert session.signal == signal
    assert session.thread == session.name
    assert (session.exception, session.automation) == ("", "")
    assert session.agent == "agents/resolution_agent"
    assert told(client, session) == ["Started by users/local."]
    assert get(client, session.name) == session


def test_one_that_is_to_be_asked_is_due_when_it_expires(
    start_server: StartServer, database: str
) -> None:
    client, worker = start_server(approval_seconds=1000), Worker(database)
    session = start(client, start=pb.AgentSession.START_ON_PROPOSE)
    lasts = session.expire_time.ToMicroseconds() - session.create_time.ToMicroseconds()
    assert 999e6 < lasts < 1001e6
    row = worker.row(session.name)
    assert not row["is_due"]
    assert 900 < row["due_in"] <= 1000


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({}, "agent_session.exception"),
        ({"exception": f"{WORKSPACE}/exceptions/x", "signal": SIGNAL}, "agent_session.exception"),
        ({"exception": f"{WORKSPACE}/exceptions/nothing"}, "agent_session.exception"),
        (
            {"exception": "organizations/local/workspaces/other/exceptions/x"},
            "agent_session.exception",
        ),
        ({"exception": "nonsense"}, "agent_session.exception"),
        ({"signal": {"title": "only a title"}}, "agent_session.signal.message"),
        ({"signal": SIGNAL | {"title": "x" * 513}}, "agent_session.signal.title"),
        ({"signal": SIGNAL, "agent": "x"}, "agent_session.agent"),
        ({"signal": SIGNAL, "start": 17}, "agent_session.start"),
    ],
)
def test_what_makes_no_session_is_told_by_field(
    shared_client: Client, given: dict[str, object], field: str
) -> None:
    request = service.CreateAgentSessionRequest(parent=WORKSPACE)
    request.agent_session.CopyFrom(pb.AgentSession(**given))
    error = refusal(lambda: shared_client.agent_sessions.CreateAgentSession(request))
    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert list(violations(error)) == [field]


def test_large_details_are_refused(shared_client: Client) -> None:
    signal = pb.Signal(**SIGNAL)
    signal.details["log"] = "x" * 65536
    error = refusal(lambda: start(shared_client, signal=signal))
    assert list(violations(error)) == ["agent_session.signal.details"]


def test_a_resolved_exception_gets_no_session(client: Client) -> None:
    exception = client.raise_one()
    client.resolve(exception.name)
    error = refusal(lambda: start(client, exception.name))
    assert error.code() is FAILED_PRECONDITION
    assert error.details() == "the exception is RESOLVED, and not PENDING"
    assert detail(error, error_details_pb2.PreconditionFailure).violations[0].subject == (
        exception.name
    )


def test_an_exception_has_one_session_at_a_time(client: Client, worker: Worker) -> None:
    exception = client.raise_one().name
    first = start(client, exception)
    for state in (STARTED, ANALYZING, AWAITING, EXECUTING):
        worker.move(first.name, state)
        error = refusal(lambda: start(client, exception))
        assert error.code() is grpc.StatusCode.ALREADY_EXISTS
        info = detail(error, error_details_pb2.ResourceInfo)
        assert (info.resource_type, info.resource_name) == ("agentSessions", first.name)
        assert first.name in str(error.details())
    for state in (COMPLETED, FAILED, CANCELLED, EXPIRED):
        worker.move(first.name, state)
        first = start(client, exception)


def test_of_many_that_start_one_for_an_exception_one_does(client: Client) -> None:
    exception = client.raise_one().name

    def attempt(_: int) -> str:
        try:
            return start(client, exception).name
        except grpc.RpcError as error:
            return str(detail(error, error_details_pb2.ResourceInfo).resource_name)

    with ThreadPoolExecutor(16) as pool:
        named = set(pool.map(attempt, range(32)))
    assert list(named) == list_(client)


def test_none_is_about_an_exception_that_is_resolved_meanwhile(client: Client) -> None:
    """Either the session is there first, or it is refused: whichever, nobody waits for long."""
    for _ in range(20):
        exception = client.raise_one().name
        with ThreadPoolExecutor(2) as pool:
            started = pool.submit(start, client, exception)
            resolved = pool.submit(client.resolve, exception)
        resolved.result()
        if error := started.exception():
            assert isinstance(error, grpc.RpcError)
            assert error.code() is FAILED_PRECONDITION


def test_a_repeated_start_answers_the_same_session_whatever_became_of_it(
    client: Client, worker: Worker
) -> None:
    exception, request_id = client.raise_one().name, str(uuid.uuid4())
    first = start(client, exception, request_id=request_id)
    assert start(client, exception, request_id=request_id) == first
    worker.move(first.name, CANCELLED)
    client.resolve(exception)
    assert start(client, exception, request_id=request_id).state == CANCELLED
    error = refusal(lambda: start(client, request_id=request_id))
    assert reason(error) == "REQUEST_ID_REUSED"


def test_a_session_comes_with_its_actions_and_lists_without(client: Client, worker: Worker) -> None:
    session = waiting(client, worker, "retry_run", "manual_review", "contact_support")
    types = [each.action_type for each in session.actions]
    assert types == ["retry_run", "manual_review", "contact_support"]
    [listed] = client.agent_sessions.ListAgentSessions(
        service.ListAgentSessionsRequest(parent=WORKSPACE)
    ).agent_sessions
    assert not listed.actions
    session.ClearField("actions")
    assert listed == session


def test_sessions_are_found_by_what_they_are(client: Client, worker: Worker) -> None:
    billing, ordering, signal = (
        start(client, client.raise_one(run=f"{WORKSPACE}/automations/billing/runs/1").name),
        start(client, client.raise_one(run=f"{WORKSPACE}/automations/ordering/runs/1").name),
        start(client, signal=SIGNAL),
    )
    names = [signal.name, ordering.name, billing.name]
    worker.analyse(ordering.name)
    cancel(client, signal.name)
    assert list_(client) == names
    assert list_(client, order_by="number") == names[::-1]
    assert list_(client, order_by="state") == [billing.name, ordering.name, signal.name]
    for filter, expected in {
        "state = AWAITING_CONFIRMATION": [ordering],
        "state = STATE_STARTED": [billing],
        f"exception = {billing.exception.rpartition('/')[2]}": [billing],
        f'exception = "{billing.exception}"': [billing],
        'exception = ""': [signal],
        "automation = billing": [billing],
        f'automation = "{WORKSPACE}/automations/ordering"': [ordering],
        'agent = "agents/other"': [],
        'agent = "agents/resolution_agent"': [signal, ordering, billing],
        'creator = "users/local" AND automation != ""': [ordering, billing],
        f"number = {signal.number}": [signal],
        f'create_time > "{billing.create_time.ToJsonString()}"': [signal, ordering],
        "end_time:*": [signal],
    }.items():
        assert list_(client, filter=filter) == [each.name for each in expected], filter


def test_pages_of_sessions_follow_each_other(client: Client) -> None:
    names = [start(client, signal=SIGNAL).name for _ in range(5)]
    request = service.ListAgentSessionsRequest(parent=WORKSPACE, page_size=2)
    seen: list[str] = []
    while True:
        page = client.agent_sessions.ListAgentSessions(request)
        assert page.total_size == 5
        seen += [each.name for each in page.agent_sessions]
        if not page.next_page_token:
            break
        request.page_token = page.next_page_token
    assert seen == names[::-1]


def test_what_is_not_there_is_not_found(shared_client: Client) -> None:
    nothing = f"{WORKSPACE}/agentSessions/nothing"
    for call in (
        lambda: get(shared_client, nothing),
        lambda: propose(shared_client, nothing),
        lambda: cancel(shared_client, nothing),
        lambda: shared_client.list_events(nothing),
    ):
        assert refusal(call).code() is grpc.StatusCode.NOT_FOUND


def test_proposing_has_a_session_begin(client: Client, worker: Worker) -> None:
    session = start(client, start=pb.AgentSession.START_ON_PROPOSE)
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(propose, client, session.name)
        while not worker.row(session.name)["is_due"]:
            assert not asked.done()
        begun = get(client, session.name)
        assert begun.state == STARTED
        assert not begun.HasField("expire_time")
        assert begun.etag != session.etag
        worker.analyse(session.name)
        assert asked.result().state == AWAITING


def test_proposing_answers_at_once_where_something_is_proposed(
    client: Client, worker: Worker
) -> None:
    session = waiting(client, worker)
    assert propose(client, session.name) == session
    assert get(client, session.name) == session


def test_proposing_can_be_repeated_while_it_is_analysed(client: Client, worker: Worker) -> None:
    session, request_id = start(client), str(uuid.uuid4())
    with pytest.raises(grpc.RpcError) as error:
        propose(client, session.name, timeout=0.3, request_id=request_id)
    assert error.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    worker.analyse(session.name)
    assert propose(client, session.name, request_id=request_id).state == AWAITING
    worker.move(session.name, EXECUTING)
    assert propose(client, session.name, request_id=request_id).state == EXECUTING


@pytest.mark.parametrize("state", [EXECUTING, COMPLETED, FAILED, CANCELLED, EXPIRED])
def test_proposing_is_refused_once_it_is_over(client: Client, worker: Worker, state: int) -> None:
    session = start(client)
    worker.move(session.name, state)
    error = refusal(lambda: propose(client, session.name))
    assert error.code() is FAILED_PRECONDITION
    label = pb.AgentSession.State.Name(state).removeprefix("STATE_")
    assert str(error.details()).startswith(f"the agent session is {label}")


def test_proposing_is_refused_when_its_time_is_over(client: Client, worker: Worker) -> None:
    session = start(client, start=pb.AgentSession.START_ON_PROPOSE)
    worker.expire(session.name)
    error = refusal(lambda: propose(client, session.name))
    assert error.code() is FAILED_PRECONDITION
    assert "has expired" in str(error.details())


def test_calls_that_wait_leave_threads_to_others(start_server: StartServer, database: str) -> None:
    client, worker = start_server(threads=4), Worker(database)
    sessions = [start(client, signal=SIGNAL).name for _ in range(3)]
    with ThreadPoolExecutor(3) as pool:
        asked = [pool.submit(propose, client, name, 20) for name in sessions]
        refused = next(as_completed(asked))
        assert reason(refused.exception()) == "OVERLOADED"
        assert client.list().total_size == 0
        for name in sessions:
            worker.analyse(name)
        answers = [each.result().state for each in asked if each is not refused]
    assert answers == [AWAITING, AWAITING]


@pytest.mark.parametrize("state", [STARTED, ANALYZING, AWAITING, EXECUTING])
def test_a_session_is_cancelled_at_once(client: Client, worker: Worker, state: int) -> None:
    session = waiting(client, worker, "retry_run", "manual_review")
    worker.move(session.name, state)
    cancelled = cancel(client, session.name, reason="not now")
    assert cancelled.state == CANCELLED
    assert cancelled.error == "users/local cancelled it: not now"
    assert cancelled.HasField("end_time")
    assert not cancelled.HasField("expire_time")
    assert [each.state for each in cancelled.actions] == [9, 9]
    assert {each.state_reason for each in cancelled.actions} == {"its session was cancelled"}
    assert worker.row(session.name)["is_due"] is None
    assert get(client, session.name) == cancelled
    thread = client.list_events(session.thread, filter="kind = COMPLETION_RESPONSE")
    assert [each.completion_response.content for each in thread.events] == [
        "Cancelled: `users/local cancelled it: not now`"
    ]
    assert not thread.events[0].completion_response.error


def test_what_has_left_when_a_session_is_cancelled_ends_as_it_ends(
    client: Client, worker: Worker
) -> None:
    session = waiting(client, worker, "retry_run", "manual_review")
    worker.move(session.name, EXECUTING)
    worker.move_action(session.actions[0].name, 3)
    cancelled = cancel(client, session.name)
    assert [each.state for each in cancelled.actions] == [3, 9]
    assert worker.row(session.name)["is_due"]


@pytest.mark.parametrize("state", [COMPLETED, FAILED, CANCELLED, EXPIRED])
def test_what_is_final_is_not_cancelled(client: Client, worker: Worker, state: int) -> None:
    session = start(client)
    worker.move(session.name, state)
    error = refusal(lambda: cancel(client, session.name))
    assert error.code() is FAILED_PRECONDITION
    assert "which is final" in str(error.details())
    assert get(client, session.name).state == state


def test_cancelling_takes_the_etag_that_was_read(client: Client, worker: Worker) -> None:
    session = start(client)
    worker.analyse(session.name)
    ask(client, session.name, "retry_run")
    approved = execute(client, session.name, *get(client, session.name).actions)
    error = refusal(lambda: cancel(client, session.name, etag=session.etag))
    assert error.code() is grpc.StatusCode.ABORTED
    assert cancel(client, session.name, etag=approved.etag).state == CANCELLED


def test_a_repeated_cancel_changes_nothing(client: Client) -> None:
    session, request_id = start(client), str(uuid.uuid4())
    first = cancel(client, session.name, request_id=request_id, etag=session.etag)
    assert cancel(client, session.name, request_id=request_id, etag=session.etag) == first


def test_a_session_has_a_thread_of_its_own(client: Client) -> None:
    session = start(client, signal=SIGNAL)
    said = client.say(session.name, "What is known?")
    assert client.get_event(said.name) == said
    newest, *_ = client.list_events(session.name).events
    assert newest == said
    request = event_service_pb2.StreamEventsRequest(parent=session.name)
    stream = client.events.StreamEvents(request, timeout=30)
    streamed = [next(stream).event for _ in range(2)]
    stream.cancel()
    assert streamed[1] == said
    client.events.CancelGeneration(event_service_pb2.CancelGenerationRequest(parent=session.name))
