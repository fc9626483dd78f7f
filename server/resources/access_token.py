"""The declaration of AccessToken: its columns, and how a row becomes a message and back.

How tokens are made is in `operations/access.py`, what they look like in `domain/access_tokens.py`.
"""

from typing import Any

from kintsugi.v1 import access_token_pb2 as pb
from kintsugi.v1.member_pb2 import Role
from sqlalchemy import Boolean, Text, bindparam, or_

import filters
from filters import Enum, ResourceId, Schema, Timestamp
from server.domain.access import MANAGE_TOKENS
from server.domain.call import current_call
from server.domain.errors import Violation
from server.domain.names import AccessTokenName, WorkspaceName
from server.domain.timestamps import set_timestamp
from server.resources.resource import Make, Resource, Seen
from server.store.connection import Row
from server.store.store import Store
from server.store.tables import access_tokens

_COLUMNS = (
    *("create_time", "update_time", "id", "principal", "title", "role", "all_workspaces"),
    *("expire_time", "last_use_time", "revoked"),
)


def _read(make: Make[pb.AccessToken], parent: str, row: Row) -> pb.AccessToken:
    create_time, update_time, id, principal, title, role, all_workspaces, *rest = row
    expire_time, last_use_time, revoked = rest
    token = make(
        name=f"{parent}/accessTokens/{id}",
        principal=f"users/{principal}",
        title=title,
        role=role,
        all_workspaces=all_workspaces,
    )
    set_timestamp(token.create_time, create_time)
    if expire_time is not None:
        set_timestamp(token.expire_time, expire_time)
    if last_use_time is not None:
        set_timestamp(token.last_use_time, last_use_time)
    if revoked:  # after which nothing changes any more
        set_timestamp(token.revoke_time, update_time)
    return token


def _write(token: pb.AccessToken) -> dict[str, Any]:
    return {"revoked": token.HasField("revoke_time")}


def _violations(_: AccessTokenName, __: pb.AccessToken) -> list[Violation]:
    return []


def _scope_key(store: Store, workspace: WorkspaceName) -> tuple[str, ...]:
    return (store.workspace_key(workspace),)


def _workspace(name: AccessTokenName) -> WorkspaceName:
    return name.parent


def _seen(workspace: WorkspaceName) -> dict[str, Any]:
    call = current_call()
    manages = MANAGE_TOKENS in call.memberships[str(workspace)].permissions
    return {"seen_by": call.principal.removeprefix("users/"), "sees_all": manages}


_c = access_tokens.c

ACCESS_TOKEN: Resource[pb.AccessToken, AccessTokenName] = Resource(
    singular="access_token",
    message=pb.AccessToken,
    name=AccessTokenName,
    table=access_tokens,
    columns=_COLUMNS,
    read=_read,
    write=_write,
    scope=("workspace",),
    scope_key=_scope_key,
    workspace=_workspace,
    workspace_column="workspace",
    violations=_violations,
    seen=Seen(
        or_(_c.principal == bindparam("seen_by", type_=Text), bindparam("sees_all", type_=Boolean)),
        _seen,
    ),
    filters=Schema(
        principal=ResourceId("users", _c.principal, description="Whose it is."),
        title=filters.Text(_c.title, description="What it is for.", orderable=True),
        role=Enum(Role, _c.role, description="What can be done with it."),
        create_time=Timestamp(_c.create_time, description="When it was made.", orderable=True),
        expire_time=Timestamp(_c.expire_time, description="From when on it isn't good any more."),
    ),
)
