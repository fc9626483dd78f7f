"""The agent session service, and that of their actions, as the commands need them.

How they are reached is in `connection`, how answers look is in `session_table`.
"""

from collections.abc import Iterator, Sequence

import click
import grpc
from kintsugi.v1 import action_pb2, action_service_pb2
from kintsugi.v1 import agent_session_pb2 as pb
from kintsugi.v1 import agent_session_service_pb2 as service
from kintsugi.v1.action_service_pb2_grpc import ActionServiceStub
from kintsugi.v1.agent_session_service_pb2_grpc import AgentSessionServiceStub

from cli import names
from cli.errors import ServiceError
from cli.service_client import ServiceClient


class SessionClient(ServiceClient[AgentSessionServiceStub]):
    """The agent session service as methods. Each raises ServiceError."""

    STUB = AgentSessionServiceStub

    def get(self, name: str) -> pb.AgentSession:
        return self._call(self._stub.GetAgentSession, service.GetAgentSessionRequest(name=name))

    def find(self, text: str) -> pb.AgentSession:
        """A session by its name; the newest of an exception by that one's name; the newest of all
        without any: of those that are no chats. Raises click.ClickException where there is none."""
        if text and not names.is_of(text, "exceptions"):
            try:
                return self.get(names.agent_session(text))
            except ServiceError as error:
                if error.code is not grpc.StatusCode.NOT_FOUND or names.is_of(text):
                    raise
        return self.get(self._newest(text).name)

    def pages(
        self, limit: int, matching: str = "", order_by: str = ""
    ) -> Iterator[service.ListAgentSessionsResponse]:
        """Pages of what matches in the workspace, with at most `limit` sessions in all."""
        request = service.ListAgentSessionsRequest(
            parent=names.workspace(), filter=matching, order_by=order_by
        )
        return self._pages(self._stub.ListAgentSessions, request, limit)

    def start(self, exception: str) -> pb.AgentSession:
        request = service.CreateAgentSessionRequest(
            parent=exception.partition("/exceptions/")[0],
            agent_session=pb.AgentSession(exception=exception),
        )
        return self._call(self._stub.CreateAgentSession, request)

    def started(self, exception: str) -> pb.AgentSession:
        """A new session, or the one that the exception has."""
        try:
            return self.start(exception)
        except ServiceError as error:
            if error.code is not grpc.StatusCode.ALREADY_EXISTS:
                raise
            return self.find(exception)

    def approve(
        self, session: pb.AgentSession, actions: Sequence[action_pb2.Action], note: str
    ) -> pb.AgentSession:
        """Approves what was read, and nothing else."""
        request = service.ExecuteActionsRequest(
            name=session.name, actions=_chosen(actions), note=note
        )
        return self._call(self._stub.ExecuteActions, request)

    def reject(
        self, session: pb.AgentSession, actions: Sequence[action_pb2.Action], reason: str
    ) -> pb.AgentSession:
        """Rejects what was read, and nothing else."""
        request = service.RejectActionsRequest(
            name=session.name, actions=_chosen(actions), reason=reason
        )
        return self._call(self._stub.RejectActions, request)

    def begin_chat(self, title: str) -> pb.AgentSession:
        request = service.CreateAgentSessionRequest(
            parent=names.workspace(),
            agent_session=pb.AgentSession(kind=pb.AgentSession.KIND_CHAT, title=title),
        )
        return self._call(self._stub.CreateAgentSession, request)

    def find_chat(self, text: str) -> pb.AgentSession:
        """A chat by its name. Raises click.ClickException for another session."""
        found = self.get(names.agent_session(text))
        if found.kind != pb.AgentSession.KIND_CHAT:
            raise click.ClickException(f"{text} is no chat; `kintsugi sessions watch` shows it")
        return found

    def end(self, session: pb.AgentSession, summary: str) -> pb.AgentSession:
        request = service.EndAgentSessionRequest(name=session.name, summary=summary)
        return self._call(self._stub.EndAgentSession, request)

    def cancel(self, session: pb.AgentSession, reason: str) -> pb.AgentSession:
        request = service.CancelAgentSessionRequest(name=session.name, reason=reason)
        return self._call(self._stub.CancelAgentSession, request)

    def _newest(self, exception: str) -> pb.AgentSession:
        matching = "kind = INVESTIGATION"
        matching += f' AND exception = "{names.exception(exception)}"' if exception else ""
        found = next(self.pages(1, matching)).agent_sessions
        if not found:
            what = f" of {exception}" if exception else ""
            raise click.ClickException(
                f"there is no session{what}; `kintsugi sessions start` makes one"
            )
        return found[0]


class ActionClient(ServiceClient[ActionServiceStub]):
    """The action service, as far as `kintsugi exec` needs it. Each method raises ServiceError."""

    STUB = ActionServiceStub

    def executing(self, exception: str, action_type: str) -> Iterator[action_pb2.Action]:
        """The actions of a type about an exception that are EXECUTING."""
        workspace, _, id = exception.partition("/exceptions/")
        request = action_service_pb2.ListActionsRequest(
            parent=f"{workspace}/agentSessions/-",
            filter=f'exception = "{id}" AND action_type = {action_type} AND state = EXECUTING',
        )
        for page in self._pages(self._stub.ListActions, request):
            yield from page.actions

    def claim(self, action: str, claim_id: str) -> action_pb2.Action:
        """Takes an action, or keeps it."""
        request = action_service_pb2.ClaimActionRequest(name=action, claim_id=claim_id)
        return self._call(self._stub.ClaimAction, request)

    def report(self, action: str, claim_id: str, exit_code: int, error: str) -> action_pb2.Action:
        request = action_service_pb2.ReportActionRequest(
            name=action, claim_id=claim_id, exit_code=exit_code, error=error
        )
        return self._call(self._stub.ReportAction, request)


def _chosen(actions: Sequence[action_pb2.Action]) -> list[service.ChosenAction]:
    return [service.ChosenAction(action=each.name, digest=each.digest) for each in actions]
