"""What can be done to workspaces: create one. Its transaction is its own.

Reading and changing one needs no more than the engine.
"""

import uuid

from kintsugi.v1 import workspace_pb2 as pb
from kintsugi.v1 import workspace_service_pb2 as service

from server.domain.call import current_call
from server.domain.errors import AlreadyExists, InvalidFields, RequestIdReused
from server.domain.names import OrganizationName, WorkspaceName
from server.domain.workspace_rules import FEATURES, id_violations, violations
from server.resources.collection import Collection
from server.resources.workspace import WORKSPACE
from server.store.changes import Mutation, mutation
from server.store.errors import Duplicate
from server.store.workspaces import NAME_INDEX, create_statement

Workspaces = Collection[pb.Workspace, WorkspaceName]

_CREATE = create_statement(WORKSPACE.columns.values())
_REQUESTS = uuid.UUID("3f8c1c1e-6f0b-4a53-9f0e-5b1a1d7c9a42")


def create(workspaces: Workspaces, request: service.CreateWorkspaceRequest) -> pb.Workspace:
    """Creates a workspace; one that names no features has all. Raises AlreadyExists."""
    organization = OrganizationName.parse(request.parent)
    _check(request)
    name = WorkspaceName(organization.organization, request.workspace_id)
    try:
        with mutation(workspaces.store.database, _uid(request), request) as work:
            if work.earlier is not None:
                return workspaces.load(work, WorkspaceName.parse(work.earlier[0]))
            return _insert(work, name, request.workspace)
    except Duplicate as error:
        if error.index != NAME_INDEX:
            raise RequestIdReused from error
        raise AlreadyExists(name) from error


def _insert(work: Mutation, name: WorkspaceName, workspace: pb.Workspace) -> pb.Workspace:
    values = {
        "uid": work.workspace,
        "organization": name.organization,
        "id": name.workspace,
        "title": workspace.title,
        "features": list(workspace.features or FEATURES),
    }
    [row] = work.transaction.each(_CREATE, [values])
    created = WORKSPACE.read(str(name.parent), row)
    work.record((name, None, created))
    return created


def _uid(request: service.CreateWorkspaceRequest) -> str:
    """Random, but for a request with an id always the same: its twin finds the change record."""
    if not request.request_id:
        return str(uuid.uuid4())
    twin = f"{current_call().principal}\0{request.parent}\0{request.request_id}"
    return str(uuid.uuid5(_REQUESTS, twin))


def _check(request: service.CreateWorkspaceRequest) -> None:
    found = id_violations(request.workspace_id) + [
        (f"workspace.{field}", what) for field, what in violations(request.workspace)
    ]
    if found:
        raise InvalidFields(found)
