"""What can be done to workspaces: create one. Its transaction is its own.

Reading and changing one needs no more than the engine.
"""

import uuid
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from kintsugi.v1 import workspace_pb2 as pb
from kintsugi.v1 import workspace_service_pb2 as service

from server.domain.access import Membership
from server.domain.call import current_call, entered
from server.domain.errors import AlreadyExists, InvalidFields, NotFound, RoleTooHigh
from server.domain.names import OrganizationName, WorkspaceName
from server.domain.workspace_rules import FEATURES, id_violations, violations
from server.resources.collection import Collection
from server.resources.workspace import WORKSPACE
from server.store.access import MEMBER_ROLE
from server.store.changes import change_parameters, once
from server.store.errors import Duplicate
from server.store.workspaces import create_statement

Workspaces = Collection[pb.Workspace, WorkspaceName]

_CREATE = create_statement(WORKSPACE.columns)
_REQUESTS = uuid.UUID("3f8c1c1e-6f0b-4a53-9f0e-5b1a1d7c9a42")


def create(workspaces: Workspaces, request: service.CreateWorkspaceRequest) -> pb.Workspace:
    """Creates a workspace, whose owner is the caller; one that names no features has all.

    Raises AlreadyExists, RoleTooHigh.
    """
    parent = OrganizationName.parse(request.parent)
    _check(request)
    if not current_call().is_everywhere:
        raise RoleTooHigh(
            "a workspace can be made only with a token that is good for all of its principal's:"
            " with this one nobody could use it"
        )
    uid = _uid(request)
    database = workspaces.store.database

    def work() -> pb.Workspace:
        recording = change_parameters(request, f"{parent}/workspaces")
        [row] = database.all(_CREATE, _row(uid, parent, request) | recording)
        return WORKSPACE.read(pb.Workspace, str(parent), row)

    def repeat(names: Sequence[str]) -> pb.Workspace:
        owner = {"workspace": uid, "id": current_call().principal.removeprefix("users/")}
        if database.one(MEMBER_ROLE, owner) is None:  # any more
            raise NotFound(names[0])
        call, own = current_call(), {names[0]: Membership(uid, frozenset())}
        with entered(replace(call, memberships={**call.memberships, **own})):
            return workspaces.get(WorkspaceName.parse(names[0]))

    try:
        return once(workspaces.store, uid, request, work, repeat)
    except Duplicate as error:
        raise AlreadyExists(WorkspaceName(parent.organization, request.workspace_id)) from error


def _row(
    uid: str, parent: OrganizationName, request: service.CreateWorkspaceRequest
) -> dict[str, Any]:
    return {
        "uid": uid,
        "organization": parent.organization,
        "id": request.workspace_id,
        "title": request.workspace.title,
        "features": list(request.workspace.features or FEATURES),
        "owner": current_call().principal.removeprefix("users/"),
    }


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
