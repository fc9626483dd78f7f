"""Actions over gRPC: what a person may ask for, what is found, who runs a `retry_run` again.

No worker runs here; what one would write is written by `sessions.Worker`.
"""

import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import pytest
from kintsugi.v1 import action_service_pb2 as service
from kintsugi.v1.risk_pb2 import RISK_HIGH, RISK_LOW

from server.domain.action_types import ACTION_TYPES
from tests.integration.client import WORKSPACE, Client, reason, violations
from tests.integration.sessions import (
    ANALYZING,
    CANCELLED,
    COMPLETED,
    EXECUTING,
    STARTED,
    TYPE,
    Action,
    Worker,
    ask,
    cancel,
    claim,
    connect,
    execute,
    get,
    get_action,
    report,
    start,
    told,
    waiting,
)

FAILED_PRECONDITION = grpc.StatusCode.FAILED_PRECONDITION
SIGNAL = {"title": "PaymentBatchFailed", "message": "3 of 40 payments failed"}
BATCH = {"batch": "b-7"}


@pytest.fixture
def worker(database: str) -> Worker:
    return Worker(database)


def refusal(call: Callable[[], Any]) -> grpc.RpcError:
    with pytest.raises(grpc.RpcError) as error:
        call()
    return error.value


def precondition(call: Callable[[], Any]) -> str:
    error = refusal(call)
    assert error.code() is FAILED_PRECONDITION
    return str(error.details())


def running(client: Client, worker: Worker) -> str:
    """The name of a `retry_run` that is to be claimed."""
    session = waiting(client, worker)
    [action] = execute(client, session.name, *session.actions).actions
    worker.move_action(action.name, Action.STATE_EXECUTING)
    return action.name


def session_of(action: str) -> str:
    return action.partition("/actions/")[0]


def list_(client: Client, parent: str, **parameters: Any) -> list[str]:
    request = service.ListActionsRequest(parent=parent, **parameters)
    return [each.name for each in client.actions.ListActions(request).actions]


@pytest.mark.parametrize("type", ACTION_TYPES)
def test_a_type_that_is_known_says_what_it_is(client: Client, worker: Worker, type: str) -> None:
    session = waiting(client, worker, type)
    [action] = session.actions
    assert action.state == Action.STATE_PROPOSED
    assert action.action_type == type
    assert action.exception == session.exception
    assert action.automated == (type == "retry_run")
    assert action.description
    assert action.expected_outcome
    assert action.risk in (RISK_LOW, 2, RISK_HIGH)
    assert [step.order for step in action.steps] == list(range(1, len(action.steps) + 1))
    assert all(step.description and not step.state for step in action.steps)
    assert len(action.digest) == 64
    assert not action.HasField("request")
    assert (action.connector, action.connector_revision, action.state_reason) == ("", 0, "")
    assert get_action(client, action.name) == action
    assert told(client, session)[-1] == f"`{type}` proposed."


def test_what_a_person_says_of_it_is_kept(client: Client, worker: Worker) -> None:
    session = waiting(client, worker)
    asked = ask(
        client, session.name, "manual_review", description="Ask Ada", parameters={"who": "ada"}
    )
    assert asked.description == "Ask Ada"
    assert dict(asked.parameters) == {"who": "ada"}


def test_a_connector_says_what_is_sent(client: Client, worker: Worker) -> None:
    connector = connect(client, body='{"batch": "{batch}", "run": "{exception.run}"}')
    session = waiting(client, worker, TYPE)
    [action] = session.actions
    assert action.automated
    assert (action.connector, action.connector_revision) == (connector, 1)
    assert action.request.method == "POST"
    assert action.request.url == "http://billing.example/v1/batches/b-7:reprocess"
    assert client.get(session.exception).run in action.request.body
    assert action.target_system == "billing.example"
    assert list(action.target_entities) == ["b-7"]
    assert action.description == "Process it again"
    assert action.expected_outcome == "It is processed"
    assert action.risk == RISK_HIGH
    [step] = action.steps
    assert step.api_call == f"POST {action.request.url}"


def test_digests_tell_different_actions_apart(client: Client, worker: Worker) -> None:
    connect(client)
    session = waiting(client, worker, TYPE, TYPE)
    first, second = session.actions
    assert first.digest == second.digest
    other = ask(client, session.name, TYPE, parameters={"batch": "b-8"})
    assert other.digest != first.digest


@pytest.mark.parametrize("parameters", [{}, {"other": "b-7"}, {"batch": {"a": 1}}])
def test_parameters_that_do_not_fit_the_connector_are_refused(
    client: Client, worker: Worker, parameters: dict[str, Any]
) -> None:
    connect(client)
    session = waiting(client, worker)
    error = refusal(lambda: ask(client, session.name, TYPE, parameters=parameters))
    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert list(violations(error)) == ["action.parameters"]
    assert "batch" in violations(error)["action.parameters"]
    assert len(get(client, session.name).actions) == 1


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({}, "action.action_type"),
        ({"action_type": "nonsense"}, "action.action_type"),
        ({"action_type": "x" * 64}, "action.action_type"),
        ({"action_type": "retry_run", "description": "x" * 4097}, "action.description"),
        ({"action_type": "retry_run", "parameters": {"x": "y" * 65536}}, "action.parameters"),
        ({"action_type": "retry_run", "parameters": {"x": float("nan")}}, "action.parameters.x"),
    ],
)
def test_what_is_no_action_is_told_by_field(
    client: Client, worker: Worker, given: dict[str, Any], field: str
) -> None:
    session = waiting(client, worker)
    request = service.CreateActionRequest(parent=session.name)
    request.action.CopyFrom(Action(**given))
    error = refusal(lambda: client.actions.CreateAction(request))
    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert list(violations(error)) == [field]


@pytest.mark.parametrize("state", [STARTED, ANALYZING, EXECUTING, COMPLETED, CANCELLED])
def test_only_a_session_that_waits_is_asked(client: Client, worker: Worker, state: int) -> None:
    session = start(client)
    worker.move(session.name, state)
    assert "and not AWAITING_CONFIRMATION" in precondition(lambda: ask(client, session.name))


def test_nothing_is_asked_about_what_is_resolved(client: Client, worker: Worker) -> None:
    session = waiting(client, worker)
    client.resolve(session.exception)
    assert "is RESOLVED" in precondition(lambda: ask(client, session.name))


def test_a_session_has_a_hundred_actions_at_most(client: Client, worker: Worker) -> None:
    session = waiting(client, worker, *["manual_review"] * 100)
    assert "has 100 actions, which is the most" in precondition(lambda: ask(client, session.name))


def test_the_actions_of_a_session_are_a_megabyte_at_most(client: Client, worker: Worker) -> None:
    session = waiting(client, worker, "manual_review")

    def more() -> Action:
        return ask(client, session.name, "manual_review", parameters={"log": "x" * 60_000})

    for _ in range(17):
        more()
    assert "1048576 bytes" in precondition(more)
    assert get(client, session.name).ByteSize() < 1_100_000
    assert ask(client, session.name, "manual_review")


def test_of_many_large_answers_a_session_tells_the_first(client: Client, worker: Worker) -> None:
    session = waiting(client, worker, *["manual_review"] * 100)
    result = Action.Result(success=True)
    result.response["body"] = "x" * 64_000
    for action in session.actions:
        worker.end_action(action.name, result)
    told = get(client, session.name)
    kept = [action for action in told.actions if "body" in action.result.response]
    assert kept == told.actions[: len(kept)]
    assert 0 < len(kept) < 100
    assert told.ByteSize() < 3 * 1024 * 1024
    assert all(action.result.success for action in told.actions)
    last = told.actions[-1].name
    assert get_action(client, last).result == result
    assert cancel(client, session.name).actions[-1].result == told.actions[-1].result


def test_a_repeated_request_asks_once(client: Client, worker: Worker) -> None:
    session, request_id = waiting(client, worker), str(uuid.uuid4())
    first = ask(client, session.name, request_id=request_id)
    assert ask(client, session.name, request_id=request_id) == first
    execute(client, session.name, first)
    assert ask(client, session.name, request_id=request_id).state == Action.STATE_APPROVED
    assert len(get(client, session.name).actions) == 2
    error = refusal(lambda: ask(client, session.name, "manual_review", request_id=request_id))
    assert reason(error) == "REQUEST_ID_REUSED"


def test_many_who_ask_at_once_all_get_theirs(client: Client, worker: Worker) -> None:
    session = waiting(client, worker)
    with ThreadPoolExecutor(8) as pool:
        asked = [each.name for each in pool.map(lambda _: ask(client, session.name), range(16))]
    actions = [each.name for each in get(client, session.name).actions]
    assert sorted(actions[1:]) == sorted(asked)


def test_actions_are_found_by_what_they_are(client: Client, worker: Worker) -> None:
    connector = connect(client)
    first = waiting(client, worker, TYPE, "manual_review")
    second = waiting(client, worker, "retry_run", signal=SIGNAL)
    batch, review = first.actions
    [retry] = second.actions
    execute(client, first.name, batch)
    everywhere = f"{WORKSPACE}/agentSessions/-"
    names = [retry.name, review.name, batch.name]
    assert list_(client, everywhere) == names
    assert list_(client, first.name) == names[1:]
    assert list_(client, first.name, order_by="create_time") == [batch.name, review.name]
    assert list_(client, everywhere, order_by="update_time desc")[0] == batch.name
    id = first.exception.rpartition("/")[2]
    for filter, expected in {
        "state = PROPOSED": [retry, review],
        "state = APPROVED AND automated = true": [batch],
        f"action_type = {TYPE}": [batch],
        f"exception = {id}": [review, batch],
        f'exception = "{first.exception}"': [review, batch],
        'exception = ""': [retry],
        "risk = LOW": [retry, review],
        "risk = RISK_HIGH": [batch],
        "automated = false": [retry, review],
        f'connector = "{connector}"': [batch],
        'connector = ""': [retry, review],
        'approver = "users/local"': [batch],
        f'create_time > "{batch.create_time.ToJsonString()}"': [retry, review],
        f'update_time > "{retry.update_time.ToJsonString()}"': [batch],
    }.items():
        found = list_(client, everywhere, filter=filter)
        assert found == [each.name for each in expected], filter


def test_pages_of_actions_follow_each_other(client: Client, worker: Worker) -> None:
    session = waiting(client, worker, *["manual_review"] * 5)
    for parent in (session.name, f"{WORKSPACE}/agentSessions/-"):
        request = service.ListActionsRequest(parent=parent, page_size=2)
        seen: list[str] = []
        while True:
            page = client.actions.ListActions(request)
            assert page.total_size == 5
            seen += [each.name for each in page.actions]
            if not page.next_page_token:
                break
            request.page_token = page.next_page_token
        assert seen == [each.name for each in reversed(session.actions)]


def test_what_is_not_there_is_not_found(client: Client, worker: Worker) -> None:
    session = waiting(client, worker)
    nothing = f"{session.name}/actions/nothing"
    nowhere = f"{WORKSPACE}/agentSessions/nothing"
    for call in (
        lambda: get_action(client, nothing),
        lambda: get_action(client, f"{nowhere}/actions/x"),
        lambda: list_(client, nowhere),
        lambda: ask(client, nowhere),
        lambda: claim(client, nothing),
        lambda: claim(client, f"{nowhere}/actions/x"),
        lambda: report(client, nothing),
    ):
        assert refusal(call).code() is grpc.StatusCode.NOT_FOUND


def test_who_takes_a_run_keeps_it_as_long_as_it_says_so(client: Client, worker: Worker) -> None:
    action = running(client, worker)
    taken = claim(client, action)
    assert taken.state == Action.STATE_EXECUTING
    due = worker.row(session_of(action))["due_in"]
    assert 50 < due <= 60
    assert claim(client, action) == taken
    assert worker.row(session_of(action))["due_in"] > due - 10
    assert "is another's" in precondition(lambda: claim(client, action, "another"))


def test_of_many_who_would_run_it_one_does(client: Client, worker: Worker) -> None:
    for _ in range(5):
        action = running(client, worker)

        def attempt(claim_id: int, action: str = action) -> str:
            try:
                claim(client, action, str(claim_id))
            except grpc.RpcError as error:
                return str(error.details())
            return ""

        with ThreadPoolExecutor(12) as pool:
            found = list(pool.map(attempt, range(12)))
        assert found.count("") == 1
        assert {each for each in found if each} == {f"{action} is another's"}


def test_what_was_not_kept_is_nobodys(client: Client, worker: Worker) -> None:
    action = running(client, worker)
    claim(client, action)
    worker.end_claim(action)
    for call in (lambda: claim(client, action), lambda: report(client, action)):
        assert "wasn't kept within its time" in precondition(call)
    assert "is another's" in precondition(lambda: claim(client, action, "another"))


@pytest.mark.parametrize("state", [1, 2, 4, 5, 6, 7, 8, 9])
def test_only_what_is_executing_is_claimed(client: Client, worker: Worker, state: int) -> None:
    action = running(client, worker)
    worker.move_action(action, state)
    assert "and not EXECUTING" in precondition(lambda: claim(client, action))


def test_only_a_retry_is_claimed(client: Client, worker: Worker) -> None:
    connect(client)
    session = waiting(client, worker, TYPE)
    [action] = execute(client, session.name, *session.actions).actions
    worker.move_action(action.name, Action.STATE_EXECUTING)
    assert "is no retry_run" in precondition(lambda: claim(client, action.name))
    assert "was claimed by nobody" in precondition(lambda: report(client, action.name))


def test_what_is_cancelled_before_anybody_took_it_is_not_run(
    client: Client, worker: Worker
) -> None:
    action = running(client, worker)
    cancel(client, session_of(action))
    why = precondition(lambda: claim(client, action))
    assert "its session is CANCELLED" in why


@pytest.mark.parametrize(
    ("told", "error"),
    [
        ({}, ""),
        ({"exit_code": 3}, "the command ended with exit code 3"),
        ({"exit_code": 1, "error": "KeyError: 'total'"}, "KeyError: 'total'"),
    ],
)
def test_how_a_run_ended_is_the_result(
    client: Client, worker: Worker, told: dict[str, Any], error: str
) -> None:
    action = running(client, worker)
    claim(client, action)
    ended = report(client, action, **told)
    assert ended.state == (Action.STATE_FAILED if error else Action.STATE_SUCCEEDED)
    assert (ended.result.success, ended.result.error) == (not error, error)
    assert dict(ended.result.response) == {"exit_code": told.get("exit_code", 0)}
    assert ended.result.HasField("execute_time")
    assert ended.result.duration.ToMicroseconds() > 0
    assert get_action(client, action) == ended
    assert worker.row(session_of(action))["is_due"]
    kinds = [
        each.WhichOneof("event_data")
        for each in client.list_events(get(client, session_of(action)).thread).events
    ]
    assert kinds[:3] == ["system_message", "tool_call_result", "tool_call_request"]


def test_the_same_report_again_changes_nothing(client: Client, worker: Worker) -> None:
    action = running(client, worker)
    claim(client, action)
    ended = report(client, action, exit_code=0)
    assert report(client, action, exit_code=0) == ended
    assert "and not EXECUTING" in precondition(lambda: report(client, action, exit_code=1))
    assert "is another's" in precondition(lambda: report(client, action, "another"))


def test_what_nobody_took_is_not_reported(client: Client, worker: Worker) -> None:
    action = running(client, worker)
    assert "was claimed by nobody" in precondition(lambda: report(client, action))


def test_what_is_running_when_its_session_is_cancelled_may_tell_its_end(
    client: Client, worker: Worker
) -> None:
    action = running(client, worker)
    claim(client, action)
    cancel(client, session_of(action))
    assert report(client, action).state == Action.STATE_SUCCEEDED
    assert get(client, session_of(action)).state == CANCELLED
    assert worker.row(session_of(action))["is_due"]


def test_a_claim_needs_its_id(client: Client, worker: Worker) -> None:
    action = running(client, worker)
    assert list(violations(refusal(lambda: claim(client, action, "")))) == ["claim_id"]
    assert list(violations(refusal(lambda: report(client, action, "")))) == ["claim_id"]
