"""The declaration of Action: its columns, and how a row becomes a message and back.

What may be done to one is in `operations/`.
"""

from dataclasses import replace
from typing import Any

from kintsugi.v1 import action_pb2 as pb
from kintsugi.v1.risk_pb2 import Risk
from sqlalchemy import ColumnElement, Text, bindparam, func

import filters
from filters import Bool, Enum, ResourceId, ResourceName, Schema, Timestamp
from server.domain.errors import Violation
from server.domain.names import ActionName, AgentSessionName, AnyAgentSessionName, WorkspaceName
from server.domain.timestamps import set_timestamp, to_datetime
from server.resources.resource import Make, Resource
from server.store.connection import Row
from server.store.statements import Key
from server.store.store import Store
from server.store.tables import actions

_COLUMNS = (
    *("create_time", "update_time", "approve_time", "session", "id", "exception", "action_type"),
    *("automated", "risk", "state", "state_reason", "connector", "connector_revision"),
    *("guide_entry", "replaces", "digest", "approver", "content", "result", "position"),
)

CONTENT = (
    *("parameters", "description", "target_system", "target_entities", "expected_outcome"),
    *("steps", "request"),
)
"""The fields that have no column of their own, in `content`."""


def _read(make: Make[pb.Action], parent: str, row: Row) -> pb.Action:
    create_time, update_time, approve_time, session, id, exception, action_type, *rest = row
    automated, risk, state, reason, connector, revision, entry, replaces, *rest = rest
    digest, approver, content, result, _position = rest
    workspace = parent.partition("/agentSessions/")[0]
    siblings = f"{workspace}/agentSessions/{session}/actions"
    action = make(
        name=f"{siblings}/{id}",
        exception=f"{workspace}/exceptions/{exception}" if exception else "",
        action_type=action_type,
        automated=automated,
        risk=risk,
        state=state,
        state_reason=reason,
        connector=f"{workspace}/connectors/{connector}" if connector else "",
        connector_revision=revision,
        guide_entry=f"{workspace}/{entry}" if entry else "",
        replaces=f"{siblings}/{replaces}" if replaces else "",
        digest=digest,
        approver=approver,
    )
    action.MergeFromString(content)
    if result:
        action.result.MergeFromString(result)
    set_timestamp(action.create_time, create_time)
    set_timestamp(action.update_time, update_time)
    if approve_time is not None:
        set_timestamp(action.approve_time, approve_time)
    return action


def _write(action: pb.Action) -> dict[str, Any]:
    """What changes once it is proposed."""
    result = action.result.SerializeToString(deterministic=True)
    return {
        "state": action.state,
        "state_reason": action.state_reason,
        "approver": action.approver,
        "approve_time": to_datetime(action.approve_time.ToMicroseconds())
        if action.HasField("approve_time")
        else None,
        "content": content_of(action),
        "result": result if action.HasField("result") else b"",
    }


def content_of(action: pb.Action) -> bytes:
    kept = pb.Action()
    kept.CopyFrom(action)
    for field, _ in action.ListFields():
        if field.name not in CONTENT:
            kept.ClearField(field.name)  # type: ignore[arg-type]  # one that there is
    return kept.SerializeToString(deterministic=True)


def _violations(_: ActionName, __: pb.Action) -> list[Violation]:
    return []


def _scope_key(store: Store, session: AgentSessionName) -> tuple[str, ...]:
    return store.workspace_key(session.parent), session.id


def _workspace_scope_key(store: Store, sessions: AnyAgentSessionName) -> tuple[str, ...]:
    return (store.workspace_key(sessions.parent),)


def _workspace(name: ActionName) -> WorkspaceName:
    return name.parent.parent


_c = actions.c
_PARENT: ColumnElement[str] = bindparam("parent", type_=Text)
_WORKSPACE = func.split_part(_PARENT, "/agentSessions/", 1, type_=Text)
"""The name of the workspace, out of the session's or the sessions'."""

ACTION: Resource[pb.Action, ActionName] = Resource(
    singular="action",
    message=pb.Action,
    name=ActionName,
    table=actions,
    columns=_COLUMNS,
    read=_read,
    write=_write,
    scope=("workspace", "session"),
    scope_key=_scope_key,
    workspace=_workspace,
    workspace_column="workspace",
    violations=_violations,
    filters=Schema(
        state=Enum(pb.Action.State, _c.state, description="Where it stands."),
        action_type=filters.Text(_c.action_type, description="What kind of action."),
        exception=ResourceId(
            "exceptions", _c.exception, parent=_WORKSPACE, description="That of its session."
        ),
        risk=Enum(Risk, _c.risk, description="What may go wrong."),
        automated=Bool(_c.automated, description="Whether it can be executed here."),
        connector=ResourceId(
            "connectors", _c.connector, parent=_WORKSPACE, description="What carries it out."
        ),
        approver=ResourceName(
            ("users", "policies"), _c.approver, description="Who approved or rejected it."
        ),
        create_time=Timestamp(_c.create_time, description="When it was proposed.", orderable=True),
        update_time=Timestamp(
            _c.update_time, description="When it last changed.", orderable=True, changing=True
        ),
    ),
    order=(Key("create_time", descending=True), Key("id", descending=True)),
    # One may hold some 200 KiB.
    step=16,
)

ACTION_ANYWHERE = replace(ACTION, scope=("workspace",), scope_key=_workspace_scope_key)
"""The same, of all sessions of a workspace."""
