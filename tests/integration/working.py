"""Workers with a reasoner of the tests', and what is said of sessions."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import grpc
from kintsugi.v1 import (
    action_pb2,
    action_service_pb2,
    agent_session_service_pb2,
    connector_pb2,
    connector_service_pb2,
    guide_entry_pb2,
    guide_entry_service_pb2,
)
from kintsugi.v1 import agent_session_pb2 as pb
from kintsugi.v1.action_service_pb2_grpc import ActionServiceStub
from kintsugi.v1.agent_session_service_pb2_grpc import AgentSessionServiceStub
from kintsugi.v1.risk_pb2 import RISK_MEDIUM

from server.config import Settings
from server.sessions.reasoner import Answer, Conclusion, Proposed, Subject, Work
from server.worker import Worker
from tests.integration.client import WORKSPACE, Client
from tests.integration.waiting import moments
from tests.targets import Holding

SECONDS = 20
"""What anything may take here before it counts as stuck."""


class Said:
    """A reasoner that concludes what its test says, after a step that is kept."""

    def __init__(self, *actions: Proposed, before: Callable[[Work], None] | None = None) -> None:
        self.actions: Sequence[Proposed] = actions
        self.before = before
        self.runs: list[str] = []

    def analyse(self, subject: Subject, work: Work) -> Conclusion:
        work.think("begin", "Looking.")
        work.tool("look", "Look", subject.session.exception, lambda: self._run(subject))
        if self.before:
            self.before(work)
        analysis = pb.Analysis(root_cause="It broke.", confidence=0.9, summary="It broke.")
        return Conclusion(analysis, self.actions, prompt_tokens=3, completion_tokens=4)

    def answer(self, subject: Subject, question: str, work: Work) -> Answer:
        work.tool("look", "Look", question, lambda: self._run(subject))
        if self.before:
            self.before(work)
        return Answer(f"About: {question}", prompt_tokens=3, completion_tokens=4)

    def _run(self, subject: Subject) -> dict[str, str]:
        self.runs.append(subject.session.name)
        return {"found": "nothing"}


@contextmanager
def working(database: str, reasoner: Any, **settings: Any) -> Iterator[Worker]:
    """A worker in this process."""
    values = {"database_url": database, "grace_seconds": 1} | settings
    worker = Worker(Settings(**values), lambda _: reasoner)
    try:
        yield worker
    finally:
        worker.stop()


class Sessions:
    """The calls about sessions, in the words of the tests."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self.sessions = AgentSessionServiceStub(client.channel)
        self.actions = ActionServiceStub(client.channel)

    def start(self, exception: str = "", **fields: Any) -> pb.AgentSession:
        if "signal" not in fields:
            fields["exception"] = exception or self._client.raise_one().name
        session = pb.AgentSession(**fields)
        request = agent_session_service_pb2.CreateAgentSessionRequest(
            parent=WORKSPACE, agent_session=session
        )
        try:
            return self.sessions.CreateAgentSession(request)
        except grpc.RpcError as error:  # a guide entry in use has started one by itself
            if error.code() is not grpc.StatusCode.ALREADY_EXISTS:
                raise
            return self.get(error.details().rpartition(" ")[2])

    def chat(self, **fields: Any) -> pb.AgentSession:
        session = pb.AgentSession(kind=pb.AgentSession.KIND_CHAT, **fields)
        request = agent_session_service_pb2.CreateAgentSessionRequest(
            parent=WORKSPACE, agent_session=session
        )
        return self.sessions.CreateAgentSession(request)

    def ask(self, chat: pb.AgentSession, question: str) -> None:
        self._client.say(chat.name, question)

    def wait_for_answer(self, chat: pb.AgentSession, answer: str) -> None:
        self.wait_until(lambda: any(answer in said for said in self.said(chat)))

    def get(self, name: str) -> pb.AgentSession:
        request = agent_session_service_pb2.GetAgentSessionRequest(name=name)
        return self.sessions.GetAgentSession(request)

    def execute(self, session: pb.AgentSession, *actions: str, note: str = "") -> pb.AgentSession:
        chosen = actions or [each.name for each in session.actions if each.state == 1]
        request = agent_session_service_pb2.ExecuteActionsRequest(
            name=session.name, actions=[{"action": name} for name in chosen], note=note
        )
        return self.sessions.ExecuteActions(request)

    def cancel(self, name: str) -> pb.AgentSession:
        request = agent_session_service_pb2.CancelAgentSessionRequest(name=name)
        return self.sessions.CancelAgentSession(request)

    def wait(self, name: str, *states: str) -> pb.AgentSession:
        """The session when it has come to one of the states."""
        wanted = [pb.AgentSession.State.Value(f"STATE_{state}") for state in states]
        for _ in moments(SECONDS):
            session = self.get(name)
            if session.state in wanted:
                return session
        state = pb.AgentSession.State.Name(session.state)
        raise AssertionError(f"{name} is still {state}: {session.error}")

    def connect(self, target: Holding, **http: Any) -> None:
        """Has actions of the type `reprocess` carried out by a target."""
        request = connector_service_pb2.CreateConnectorRequest(
            parent=WORKSPACE, connector=_connector(target, **http), connector_id="reprocess"
        )
        self._client.connectors.CreateConnector(request)

    def connect_anew(self, target: Holding, **http: Any) -> None:
        """The same, otherwise than before."""
        request = connector_service_pb2.UpdateConnectorRequest(
            connector=_connector(target, **http), update_mask={"paths": ["http"]}
        )
        request.connector.name = f"{WORKSPACE}/connectors/reprocess"
        self._client.connectors.UpdateConnector(request)

    def claim_once(self, action: str) -> None:
        """Takes a `retry_run`, or raises grpc.RpcError."""
        request = action_service_pb2.ClaimActionRequest(name=action, claim_id="tests")
        self.actions.ClaimAction(request)

    def claim(self, action: str) -> None:
        """Takes a `retry_run` as soon as it can be."""

        def taken() -> bool:
            try:
                self.claim_once(action)
            except grpc.RpcError:
                return False
            return True

        self.wait_until(taken)

    def run_again(self, action: str, exit_code: int) -> None:
        self.claim(action)
        request = action_service_pb2.ReportActionRequest(
            name=action, claim_id="tests", exit_code=exit_code
        )
        self.actions.ReportAction(request)

    def wait_until(self, condition: Callable[[], Any]) -> Any:
        """What the condition is when it is true."""
        for _ in moments(SECONDS):
            if found := condition():
                return found
        raise AssertionError("it never came true")

    def said(self, session: pb.AgentSession) -> list[str]:
        """What was said in the thread, oldest first."""
        events = self._client.list_events(session.thread, page_size=1000).events
        return [
            event.system_message.content
            or event.agent_message.content
            or event.thinking.content
            or event.tool_call_request.display_name
            or event.tool_call_result.result
            or event.user_message.content
            or event.completion_response.content
            or event.completion_response.error
            for event in reversed(events)
        ]


def _connector(target: Holding, **http: Any) -> connector_pb2.Connector:
    request = {
        "method": "POST",
        "url": f"{target.url}/batches/{{batch}}",
        "body": '{"batch": "{batch}"}',
        "allow_private": True,
    }
    return connector_pb2.Connector(
        action_type="reprocess", http=connector_pb2.HttpRequest(**(request | http))
    )


def self_resolving(client: Client, action: Proposed) -> str:
    """The name of an entry in use that has the action done by itself about a KeyError."""
    source = client.raise_one()
    client.resolve(source.name)
    entry = guide_entry_pb2.GuideEntry(
        title="KeyError",
        resolution_steps="As ever",
        source_exception=source.name,
        action_type=action.action_type,
        action_risk=RISK_MEDIUM,
        self_resolving=True,
    )
    entry.action_parameters.update(action.parameters)
    automation = source.automation
    request = guide_entry_service_pb2.CreateGuideEntryRequest(parent=automation, guide_entry=entry)
    name = client.guide_entries.CreateGuideEntry(request).name
    approve(client, name)
    return name


def approve(client: Client, entry: str) -> None:
    """Has the newest version of a guide entry be the one in use."""
    request = guide_entry_service_pb2.ApproveGuideEntryRequest(name=entry)
    client.guide_entries.ApproveGuideEntry(request)


def states(session: pb.AgentSession) -> list[str]:
    """Those of its actions."""
    names = action_pb2.Action.State
    return [names.Name(action.state).removeprefix("STATE_") for action in session.actions]


REPROCESS = Proposed("reprocess", {"batch": "b-7"}, "Process it again")
