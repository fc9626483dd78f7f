"""AgentSessionService: each method converts, calls one operation, converts.

Identity, permission, deadlines, errors, logging and metrics are the interceptors'.
"""

import grpc
from kintsugi.v1 import agent_session_pb2 as pb
from kintsugi.v1 import agent_session_service_pb2 as service
from kintsugi.v1.agent_session_service_pb2_grpc import AgentSessionServiceServicer

from server.domain.names import AgentSessionName, WorkspaceName
from server.operations import agent_sessions as operations
from server.operations import approval, chats
from server.operations.opened_session import AgentSessions


class AgentSessionService(AgentSessionServiceServicer):
    def __init__(self, sessions: AgentSessions, waiting: int) -> None:
        """`waiting` is how many calls may wait for proposals at once."""
        self._sessions = sessions
        self._proposals = operations.Proposals(sessions, waiting)

    def CreateAgentSession(
        self, request: service.CreateAgentSessionRequest, context: grpc.ServicerContext
    ) -> pb.AgentSession:
        return operations.create(self._sessions, request)

    def GetAgentSession(
        self, request: service.GetAgentSessionRequest, context: grpc.ServicerContext
    ) -> pb.AgentSession:
        return self._sessions.get(AgentSessionName.parse(request.name))

    def ListAgentSessions(
        self, request: service.ListAgentSessionsRequest, context: grpc.ServicerContext
    ) -> service.ListAgentSessionsResponse:
        response = service.ListAgentSessionsResponse()
        parent = WorkspaceName.parse(request.parent)
        self._sessions.sessions.list(parent, request, response, response.agent_sessions)
        return response

    def ProposeActions(
        self, request: service.ProposeActionsRequest, context: grpc.ServicerContext
    ) -> pb.AgentSession:
        return self._proposals.propose(request)

    def ExecuteActions(
        self, request: service.ExecuteActionsRequest, context: grpc.ServicerContext
    ) -> pb.AgentSession:
        return approval.execute(self._sessions, request)

    def RejectActions(
        self, request: service.RejectActionsRequest, context: grpc.ServicerContext
    ) -> pb.AgentSession:
        return approval.reject(self._sessions, request)

    def CancelAgentSession(
        self, request: service.CancelAgentSessionRequest, context: grpc.ServicerContext
    ) -> pb.AgentSession:
        return operations.cancel(self._sessions, request)

    def EndAgentSession(
        self, request: service.EndAgentSessionRequest, context: grpc.ServicerContext
    ) -> pb.AgentSession:
        return chats.end(self._sessions, request)
