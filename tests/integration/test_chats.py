"""Chats over gRPC: what one is, what may be done with it, what its messages need and count as.

No worker runs here; what is answered is in `test_chats_working.py`.
"""

import grpc
import pytest
from google.rpc import error_details_pb2
from kintsugi.v1 import agent_session_pb2 as pb
from kintsugi.v1 import agent_session_service_pb2 as service
from kintsugi.v1 import event_pb2, workspace_service_pb2
from kintsugi.v1.workspace_pb2 import Workspace

from tests.integration.client import WORKSPACE, Client, detail, reason, violations
from tests.integration.conftest import StartServer
from tests.integration.sessions import (
    STARTED,
    Worker,
    ask,
    cancel,
    claim,
    execute,
    get,
    get_action,
    propose,
    reject,
    start,
    told,
    waiting,
)
from tests.integration.test_limits import starts

CHAT = pb.AgentSession.KIND_CHAT
ACTIVE = pb.AgentSession.STATE_ACTIVE
ENDED = pb.AgentSession.STATE_ENDED
SIGNAL = {"title": "PaymentBatchFailed", "message": "3 of 40 payments failed"}
DAY = 24 * 60 * 60


@pytest.fixture
def worker(database: str) -> Worker:
    return Worker(database)


def chat(client: Client, **fields: object) -> pb.AgentSession:
    return start(client, signal=None, kind=CHAT, **fields)


def end(client: Client, name: str, **fields: object) -> pb.AgentSession:
    request = service.EndAgentSessionRequest(name=name, **fields)
    return client.agent_sessions.EndAgentSession(request)


def refusal(call: object, code: grpc.StatusCode = grpc.StatusCode.FAILED_PRECONDITION) -> str:
    """What a call is refused with."""
    with pytest.raises(grpc.RpcError) as error:
        call()  # type: ignore[operator]
    assert error.value.code() is code
    return str(error.value.details())


def list_(client: Client, matching: str) -> list[str]:
    request = service.ListAgentSessionsRequest(parent=WORKSPACE, filter=matching)
    return [each.name for each in client.agent_sessions.ListAgentSessions(request).agent_sessions]


def expire_time(session: pb.AgentSession) -> float:
    return session.expire_time.ToMicroseconds() / 1e6


def test_a_chat_needs_nothing_and_is_active_at_once(client: Client) -> None:
    made = chat(client)
    assert (made.kind, made.state, made.thread) == (CHAT, ACTIVE, made.name)
    assert (made.start, made.creator) == (pb.AgentSession.START_UNSPECIFIED, "users/local")
    assert expire_time(made) - made.create_time.ToMicroseconds() / 1e6 == pytest.approx(DAY, abs=1)
    assert get(client, made.name) == made
    assert told(client, made) == ["A chat, begun by users/local."]


def test_a_chat_keeps_its_title_and_its_context(client: Client) -> None:
    context = {"systems": ["billing"], "depth": 2.0, "strict": True, "nothing": None}
    made = chat(client, title="Invoices", context=context)
    found = get(client, made.name)
    assert (found.title, found.context) == ("Invoices", made.context)
    assert found.context["systems"][0] == "billing"
    assert found.context["nothing"] is None


def test_a_session_is_an_investigation_unless_said_otherwise(client: Client) -> None:
    started = start(client, signal=SIGNAL)
    assert (started.kind, started.state) == (pb.AgentSession.KIND_INVESTIGATION, STARTED)


def test_a_chat_may_be_about_an_exception_in_whatever_state(client: Client) -> None:
    exception = client.raise_one()
    client.resolve(exception.name)
    made = chat(client, exception=exception.name)
    assert (made.exception, made.automation) == (exception.name, exception.automation)
    assert made.thread == made.name


def test_an_exception_has_an_investigation_and_any_number_of_chats(client: Client) -> None:
    exception = client.raise_one().name
    chats = [chat(client, exception=exception).name for _ in range(2)]
    investigation = start(client, exception)
    assert len({*chats, investigation.name}) == 3
    refusal(lambda: start(client, exception), grpc.StatusCode.ALREADY_EXISTS)


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"kind": CHAT, "signal": SIGNAL}, "signal"),
        ({"kind": CHAT, "signal": None, "start": pb.AgentSession.START_AUTO}, "start"),
        ({"kind": CHAT, "signal": None, "title": "x" * 513}, "title"),
        ({"kind": CHAT, "signal": None, "context": {"x": "y" * 65536}}, "context"),
        ({"kind": CHAT, "signal": None, "exception": f"{WORKSPACE}/exceptions/none"}, "exception"),
        ({"signal": SIGNAL, "title": "Invoices"}, "title"),
        ({"signal": SIGNAL, "context": {"x": 1}}, "context"),
    ],
)
def test_what_does_not_go_together_is_refused(
    client: Client, given: dict[str, object], field: str
) -> None:
    with pytest.raises(grpc.RpcError) as error:
        start(client, **given)
    assert [*violations(error.value)] == [f"agent_session.{field}"]


def test_chats_are_listed_by_kind_title_and_state(client: Client) -> None:
    invoices, other = chat(client, title="Invoices"), chat(client, title="Orders")
    investigation = start(client, signal=SIGNAL)
    assert {*list_(client, "kind = CHAT")} == {invoices.name, other.name}
    assert list_(client, "kind = INVESTIGATION") == [investigation.name]
    assert list_(client, 'title = "Invoices"') == [invoices.name]
    end(client, other.name)
    assert list_(client, "kind = CHAT AND state = ACTIVE") == [invoices.name]
    assert list_(client, "state = ENDED") == [other.name]


def test_a_chat_is_ended_once_with_what_came_of_it(client: Client, worker: Worker) -> None:
    made = chat(client)
    ended = end(client, made.name, summary="the export was wrong", etag=made.etag)
    assert (ended.state, ended.summary, ended.error) == (ENDED, "the export was wrong", "")
    assert ended.HasField("end_time")
    assert not ended.HasField("expire_time")
    assert worker.row(made.name)["due_in"] is None
    assert "ENDED, which is final" in refusal(lambda: end(client, made.name))
    events = client.list_events(made.thread).events
    assert "the export was wrong" in events[0].completion_response.content


def test_a_repeated_end_answers_the_same(client: Client) -> None:
    made = chat(client)
    first = end(client, made.name, summary="x", request_id="r-1")
    assert end(client, made.name, summary="x", request_id="r-1") == first


def test_an_end_by_a_stale_etag_is_aborted(client: Client) -> None:
    made = chat(client)
    client.say(made.name)
    refusal(lambda: end(client, made.name, etag=made.etag), grpc.StatusCode.ABORTED)


def test_a_chat_only_answers(client: Client, worker: Worker) -> None:
    made = chat(client).name
    [action] = waiting(client, worker).actions
    for call in (
        lambda: propose(client, made),
        lambda: execute(client, made, action),
        lambda: execute(client, made, action, validate_only=True),
        lambda: reject(client, made, action),
        lambda: cancel(client, made),
        lambda: ask(client, made),
    ):
        assert "is a chat" in refusal(call)
    refusal(lambda: get_action(client, f"{made}/actions/x"), grpc.StatusCode.NOT_FOUND)
    assert "is a chat" in refusal(lambda: claim(client, f"{made}/actions/x"))
    assert get(client, made).state == ACTIVE


def test_an_investigation_is_not_ended(client: Client) -> None:
    started = start(client, signal=SIGNAL)
    assert refusal(lambda: end(client, started.name)) == "the agent session is no chat"


def test_a_message_is_due_at_once_and_keeps_the_chat_going(client: Client, worker: Worker) -> None:
    made = chat(client)
    assert not worker.row(made.name)["is_due"]
    said = client.say(made.name, "How do I repair it?")
    assert said.user_message.content == "How do I repair it?"
    assert worker.row(made.name)["is_due"]
    now = get(client, made.name)
    assert expire_time(now) > expire_time(made)
    assert now.etag != made.etag


def test_a_repeated_message_is_one(client: Client, database: str) -> None:
    made = chat(client)
    event = event_pb2.Event(user_message={"content": "How?"})
    said = client.create_event(made.name, event, request_id="m-1")
    assert client.create_event(made.name, event, request_id="m-1") == said
    end(client, made.name)
    assert client.create_event(made.name, event, request_id="m-1") == said
    assert len(starts(database)) == 2
    events = client.list_events(made.name, filter="kind = USER_MESSAGE").events
    assert [each.name for each in events] == [said.name]


def test_nothing_is_asked_after_the_end(client: Client, worker: Worker) -> None:
    ended = chat(client)
    end(client, ended.name)
    assert refusal(lambda: client.say(ended.name)).startswith("the chat is ENDED")
    over = chat(client)
    worker.expire(over.name)
    assert "has expired at" in refusal(lambda: client.say(over.name))
    assert not client.list_events(over.name, filter="kind = USER_MESSAGE").events


def test_people_still_talk_where_nobody_answers(client: Client, worker: Worker) -> None:
    started = start(client, signal=SIGNAL)
    cancel(client, started.name)
    client.say(started.name, "Thanks")
    assert not worker.row(started.name)["is_due"]


def test_messages_count_as_starts_of_agent_work(start_server: StartServer, database: str) -> None:
    client = start_server(agent_starts_per_hour=3)
    made = chat(client)
    investigation = start(client, signal=SIGNAL)
    client.say(investigation.name, "This isn't a question to anybody")
    client.say(made.name)
    before = get(client, made.name)
    with pytest.raises(grpc.RpcError) as error:
        client.say(made.name)
    assert reason(error.value) == "AGENT_STARTS_EXHAUSTED"
    assert error.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    [quota] = detail(error.value, error_details_pb2.QuotaFailure).violations
    assert quota.quota_value == 3
    assert get(client, made.name) == before
    assert len(client.list_events(made.name, filter="kind = USER_MESSAGE").events) == 1
    end(client, made.name)
    assert refusal(lambda: client.say(made.name)).startswith("the chat is ENDED")
    assert len(starts(database)) == 3


def test_a_message_needs_agents_to_be_switched_on(client: Client) -> None:
    made = chat(client)
    request = workspace_service_pb2.UpdateWorkspaceRequest(
        workspace=Workspace(name=WORKSPACE), update_mask={"paths": ["features"]}
    )
    client.workspaces.UpdateWorkspace(request)
    with pytest.raises(grpc.RpcError) as error:
        client.say(made.name)
    assert reason(error.value) == "FEATURE_NOT_ENABLED"
