"""The declaration of Workspace: its columns, and how a row becomes a message and back.

How one is created is in `operations/workspaces.py`.
"""

import uuid
from typing import Any

from kintsugi.v1 import workspace_pb2 as pb
from sqlalchemy import any_, bindparam
from sqlalchemy.dialects.postgresql import ARRAY, UUID

from server.domain.call import current_call
from server.domain.errors import Violation
from server.domain.names import OrganizationName, WorkspaceName
from server.domain.timestamps import set_timestamp
from server.domain.workspace_rules import violations
from server.resources.resource import Make, Resource, Seen
from server.store.connection import Row
from server.store.store import Store
from server.store.tables import workspaces

_COLUMNS = ("create_time", "update_time", "id", "uid", "title", "features", "version")


def _read(make: Make[pb.Workspace], parent: str, row: Row) -> pb.Workspace:
    create_time, update_time, id, uid, title, features, version = row
    workspace = make(
        name=f"{parent}/workspaces/{id}",
        uid=str(uid),
        title=title,
        features=features,
        etag=str(version),
    )
    set_timestamp(workspace.create_time, create_time)
    set_timestamp(workspace.update_time, update_time)
    return workspace


def _write(workspace: pb.Workspace) -> dict[str, Any]:
    return {"title": workspace.title, "features": list(workspace.features)}


def _violations(_: WorkspaceName, workspace: pb.Workspace) -> list[Violation]:
    return violations(workspace)


def _scope_key(_: Store, organization: OrganizationName) -> tuple[str, ...]:
    return (organization.organization,)


def _workspace(name: WorkspaceName) -> WorkspaceName:
    return name


def _seen(_: OrganizationName) -> dict[str, Any]:
    return {"seen": [uuid.UUID(each.uid) for each in current_call().memberships.values()]}


WORKSPACE: Resource[pb.Workspace, WorkspaceName] = Resource(
    singular="workspace",
    message=pb.Workspace,
    name=WorkspaceName,
    table=workspaces,
    columns=_COLUMNS,
    read=_read,
    write=_write,
    scope=("organization",),
    scope_key=_scope_key,
    workspace=_workspace,
    workspace_column="uid",
    violations=_violations,
    mutable=("title", "features"),
    seen=Seen(workspaces.c.uid == any_(bindparam("seen", type_=ARRAY(UUID))), _seen),
)
