"""The declaration of Member: its columns, and how a row becomes a message and back.

What roles may do is in `domain/access.py`, how members are made in `operations/access.py`.
"""

from typing import Any

from kintsugi.v1 import member_pb2 as pb

import filters
from filters import Enum, Schema, Timestamp
from server.domain.errors import Violation
from server.domain.names import MemberName, WorkspaceName
from server.domain.timestamps import set_timestamp
from server.resources.resource import Make, Resource
from server.store.connection import Row
from server.store.store import Store
from server.store.tables import members


def _read(make: Make[pb.Member], parent: str, row: Row) -> pb.Member:
    create_time, update_time, id, title, role, version = row
    member = make(
        name=f"{parent}/members/{id}",
        principal=f"users/{id}",
        title=title,
        role=role,
        etag=str(version),
    )
    set_timestamp(member.create_time, create_time)
    set_timestamp(member.update_time, update_time)
    return member


def _write(member: pb.Member) -> dict[str, Any]:
    return {"title": member.title, "role": member.role}


def _violations(_: MemberName, member: pb.Member) -> list[Violation]:
    return [] if member.role else [("role", "is required")]


def _scope_key(store: Store, workspace: WorkspaceName) -> tuple[str, ...]:
    return (store.workspace_key(workspace),)


def _workspace(name: MemberName) -> WorkspaceName:
    return name.parent


_c = members.c

MEMBER: Resource[pb.Member, MemberName] = Resource(
    singular="member",
    message=pb.Member,
    name=MemberName,
    table=members,
    columns=("create_time", "update_time", "id", "title", "role", "version"),
    read=_read,
    write=_write,
    scope=("workspace",),
    scope_key=_scope_key,
    workspace=_workspace,
    workspace_column="workspace",
    violations=_violations,
    mutable=("title", "role"),
    filters=Schema(
        title=filters.Text(
            _c.title, description="What people read.", orderable=True, changing=True
        ),
        role=Enum(pb.Role, _c.role, description="What they may do."),
        create_time=Timestamp(
            _c.create_time, description="When they became a member.", orderable=True
        ),
        update_time=Timestamp(
            _c.update_time, description="When it last changed.", orderable=True, changing=True
        ),
    ),
)
