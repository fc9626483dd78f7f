"""The workspace service as the commands need it.

How it is reached is in `connection`, how answers look is in `workspaces`.
"""

from collections.abc import Iterator

from google.protobuf.field_mask_pb2 import FieldMask
from kintsugi.v1 import workspace_pb2 as pb
from kintsugi.v1 import workspace_service_pb2 as service
from kintsugi.v1.workspace_service_pb2_grpc import WorkspaceServiceStub

from cli import names
from cli.service_client import ServiceClient


class WorkspaceClient(ServiceClient[WorkspaceServiceStub]):
    """The workspace service as methods. Each raises ServiceError."""

    STUB = WorkspaceServiceStub

    def all(self) -> Iterator[pb.Workspace]:
        request = service.ListWorkspacesRequest(parent=names.organization())
        for page in self._pages(self._stub.ListWorkspaces, request):
            yield from page.workspaces

    def get(self, name: str) -> pb.Workspace:
        return self._call(self._stub.GetWorkspace, service.GetWorkspaceRequest(name=name))

    def create(self, name: str, workspace: pb.Workspace) -> pb.Workspace:
        parent, _, id = name.partition("/workspaces/")
        request = service.CreateWorkspaceRequest(
            parent=parent, workspace_id=id, workspace=workspace
        )
        return self._call(self._stub.CreateWorkspace, request)

    def change(self, workspace: pb.Workspace, *fields: str) -> pb.Workspace:
        mask = FieldMask(paths=fields)
        request = service.UpdateWorkspaceRequest(workspace=workspace, update_mask=mask)
        return self._call(self._stub.UpdateWorkspace, request)
