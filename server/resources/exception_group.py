"""The declaration of ExceptionGroup: its columns, and how a row becomes a message and back.

Which groups there are, and what is said about them, is in `domain/exception_groups.py`.
"""

from typing import Any

from kintsugi.v1 import exception_group_pb2 as pb

from server.domain.errors import Violation
from server.domain.exception_groups import GROUP_TEXTS
from server.domain.names import ExceptionGroupName, WorkspaceName
from server.domain.timestamps import set_timestamp
from server.resources.resource import Make, Resource
from server.store.connection import Row
from server.store.statements import Key
from server.store.store import Store
from server.store.tables import exception_groups


def _read(make: Make[pb.ExceptionGroup], parent: str, row: Row) -> pb.ExceptionGroup:
    update_time, id, default_assignee, version = row
    group = make(
        name=f"{parent}/exceptionGroups/{id}",
        **GROUP_TEXTS[id]._asdict(),
        default_assignee=default_assignee,
        etag=str(version),
    )
    set_timestamp(group.update_time, update_time)
    return group


def _write(group: pb.ExceptionGroup) -> dict[str, Any]:
    return {"default_assignee": group.default_assignee}


def _violations(_: ExceptionGroupName, __: pb.ExceptionGroup) -> list[Violation]:
    return []


def _scope_key(store: Store, workspace: WorkspaceName) -> tuple[str, ...]:
    return (store.workspace_key(workspace),)


def _workspace(name: ExceptionGroupName) -> WorkspaceName:
    return name.parent


EXCEPTION_GROUP: Resource[pb.ExceptionGroup, ExceptionGroupName] = Resource(
    singular="exception_group",
    message=pb.ExceptionGroup,
    name=ExceptionGroupName,
    table=exception_groups,
    columns=("update_time", "id", "default_assignee", "version"),
    read=_read,
    write=_write,
    scope=("workspace",),
    scope_key=_scope_key,
    workspace=_workspace,
    workspace_column="workspace",
    violations=_violations,
    mutable=("default_assignee",),
    order=(Key("id", descending=False),),
)
