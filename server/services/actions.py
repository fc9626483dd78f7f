"""ActionService: each method converts, calls one operation, converts.

Identity, permission, deadlines, errors, logging and metrics are the interceptors'.
"""

import grpc
from kintsugi.v1 import action_pb2 as pb
from kintsugi.v1 import action_service_pb2 as service
from kintsugi.v1.action_service_pb2_grpc import ActionServiceServicer

from server.domain.names import ActionName, AgentSessionName, parse_agent_sessions
from server.operations import actions as operations
from server.operations.opened_session import AgentSessions
from server.resources.action import ACTION_ANYWHERE
from server.resources.collection import Collection


class ActionService(ActionServiceServicer):
    def __init__(self, sessions: AgentSessions) -> None:
        self._sessions = sessions
        self._anywhere = Collection(sessions.store, ACTION_ANYWHERE)

    def CreateAction(
        self, request: service.CreateActionRequest, context: grpc.ServicerContext
    ) -> pb.Action:
        return operations.create(self._sessions, request)

    def GetAction(
        self, request: service.GetActionRequest, context: grpc.ServicerContext
    ) -> pb.Action:
        return self._sessions.actions.get(ActionName.parse(request.name))

    def ListActions(
        self, request: service.ListActionsRequest, context: grpc.ServicerContext
    ) -> service.ListActionsResponse:
        response = service.ListActionsResponse()
        parent = parse_agent_sessions(request.parent)
        if isinstance(parent, AgentSessionName):
            self._sessions.sessions.get(parent)
            self._sessions.actions.list(parent, request, response, response.actions)
        else:
            self._anywhere.list(parent, request, response, response.actions)
        return response

    def ClaimAction(
        self, request: service.ClaimActionRequest, context: grpc.ServicerContext
    ) -> pb.Action:
        return operations.claim(self._sessions, request)

    def ReportAction(
        self, request: service.ReportActionRequest, context: grpc.ServicerContext
    ) -> pb.Action:
        return operations.report(self._sessions, request)
