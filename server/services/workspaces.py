"""WorkspaceService: each method converts, calls one operation, converts.

Identity, permission, deadlines, errors, logging and metrics are the interceptors'.
"""

import grpc
from kintsugi.v1 import workspace_pb2 as pb
from kintsugi.v1 import workspace_service_pb2 as service
from kintsugi.v1.workspace_service_pb2_grpc import WorkspaceServiceServicer

from server.domain.names import OrganizationName, WorkspaceName
from server.operations import workspaces as operations
from server.resources.collection import Collection
from server.resources.workspace import WORKSPACE
from server.store.store import Store


class WorkspaceService(WorkspaceServiceServicer):
    def __init__(self, store: Store) -> None:
        self._workspaces = Collection(store, WORKSPACE)

    def CreateWorkspace(
        self, request: service.CreateWorkspaceRequest, context: grpc.ServicerContext
    ) -> pb.Workspace:
        return operations.create(self._workspaces, request)

    def GetWorkspace(
        self, request: service.GetWorkspaceRequest, context: grpc.ServicerContext
    ) -> pb.Workspace:
        return self._workspaces.get(WorkspaceName.parse(request.name))

    def ListWorkspaces(
        self, request: service.ListWorkspacesRequest, context: grpc.ServicerContext
    ) -> service.ListWorkspacesResponse:
        response = service.ListWorkspacesResponse()
        parent = OrganizationName.parse(request.parent)
        self._workspaces.list(parent, request, response, response.workspaces)
        return response

    def UpdateWorkspace(
        self, request: service.UpdateWorkspaceRequest, context: grpc.ServicerContext
    ) -> pb.Workspace:
        name = WorkspaceName.parse(request.workspace.name)
        return self._workspaces.update(name, request.workspace, request)
