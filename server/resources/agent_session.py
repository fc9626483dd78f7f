"""The declaration of AgentSession: its columns, and how a row becomes a message and back.

Its actions are a resource of their own; what may be done to one is in `operations/`.
"""

from datetime import datetime
from typing import Any

from kintsugi.v1 import agent_session_pb2 as pb
from sqlalchemy import ColumnElement, Text, bindparam

import filters
from filters import Enum, Int64, ResourceId, ResourceName, Schema, Timestamp
from server.domain.agent_session_rules import CHAT
from server.domain.errors import Violation
from server.domain.names import AgentSessionName, WorkspaceName
from server.domain.timestamps import set_timestamp, to_datetime
from server.resources.resource import Make, Resource
from server.store.connection import Row
from server.store.store import Store
from server.store.tables import agent_sessions

THREAD_AGENT = "kai"
"""In whose thread of the run a session about an exception is told."""

_MOST_ANSWERED = 2 * 1024 * 1024
"""Bytes of what targets answered to the actions of a session."""

_COLUMNS = (
    *("create_time", "update_time", "expire_time", "end_time"),
    *("id", "number", "exception", "automation", "run"),
    *("signal", "agent", "creator", "start", "state", "analysis", "error"),
    *("prompt_token_count", "completion_token_count", "version"),
    *("kind", "title", "context", "summary"),
)


def _read(make: Make[pb.AgentSession], parent: str, row: Row) -> pb.AgentSession:
    times, (id, number, exception, automation, run), rest = row[:4], row[4:9], row[9:19]
    signal, agent, creator, start, state, analysis, error, prompt, completion, version = rest
    kind, title, context, summary = row[19:]
    name = f"{parent}/agentSessions/{id}"
    in_automation = f"{parent}/automations/{automation}"
    is_told_there = run and kind != CHAT
    session = make(
        name=name,
        number=number,
        exception=f"{parent}/exceptions/{exception}" if exception else "",
        automation=in_automation if automation else "",
        thread=f"{in_automation}/runs/{run}/agents/{THREAD_AGENT}" if is_told_there else name,
        agent=agent,
        creator=creator,
        start=start,
        state=state,
        error=error,
        prompt_token_count=prompt,
        completion_token_count=completion,
        etag=str(version),
        kind=kind,
        title=title,
        summary=summary,
    )
    if context:
        session.context.MergeFromString(context)
    if signal:
        session.signal.MergeFromString(signal)
    if analysis:
        session.analysis.MergeFromString(analysis)
    _set_times(session, times)
    return session


def leave_out(session: pb.AgentSession) -> None:
    """Leaves out the answers of targets from where they are too much for an answer of ours."""
    left = _MOST_ANSWERED
    for action in session.actions:
        size = action.result.response.ByteSize()
        if size > left:
            action.result.ClearField("response")
        left = left - size if size <= left else 0


def _set_times(session: pb.AgentSession, times: Row) -> None:
    create_time, update_time, expire_time, end_time = times
    set_timestamp(session.create_time, create_time)
    set_timestamp(session.update_time, update_time)
    if expire_time is not None:
        set_timestamp(session.expire_time, expire_time)
    if end_time is not None:
        set_timestamp(session.end_time, end_time)


def _write(session: pb.AgentSession) -> dict[str, Any]:
    """What changes; all times are the database's."""
    return {
        "state": session.state,
        "analysis": _bytes(session, "analysis"),
        "error": session.error,
        "summary": session.summary,
        "prompt_token_count": session.prompt_token_count,
        "completion_token_count": session.completion_token_count,
        "expire_time": _time(session, "expire_time"),
        "end_time": _time(session, "end_time"),
    }


def _time(session: pb.AgentSession, field: str) -> datetime | None:
    if not session.HasField(field):  # type: ignore[arg-type]  # one of two
        return None
    return to_datetime(getattr(session, field).ToMicroseconds())


def _bytes(session: pb.AgentSession, field: str) -> bytes:
    if not session.HasField(field):  # type: ignore[arg-type]  # one of two
        return b""
    written: bytes = getattr(session, field).SerializeToString(deterministic=True)
    return written


def _violations(_: AgentSessionName, __: pb.AgentSession) -> list[Violation]:
    return []


def _scope_key(store: Store, workspace: WorkspaceName) -> tuple[str, ...]:
    return (store.workspace_key(workspace),)


def _workspace(name: AgentSessionName) -> WorkspaceName:
    return name.parent


_c = agent_sessions.c
_PARENT: ColumnElement[str] = bindparam("parent", type_=Text)
"""The name of the workspace, which stands in no row."""

AGENT_SESSION: Resource[pb.AgentSession, AgentSessionName] = Resource(
    singular="agent_session",
    message=pb.AgentSession,
    name=AgentSessionName,
    table=agent_sessions,
    columns=_COLUMNS,
    read=_read,
    write=_write,
    scope=("workspace",),
    scope_key=_scope_key,
    workspace=_workspace,
    workspace_column="workspace",
    violations=_violations,
    filters=Schema(
        state=Enum(
            pb.AgentSession.State,
            _c.state,
            description="Where it stands.",
            orderable=True,
            changing=True,
        ),
        kind=Enum(pb.AgentSession.Kind, _c.kind, description="What it is for."),
        title=filters.Text(_c.title, description="What a chat is called."),
        exception=ResourceId(
            "exceptions", _c.exception, parent=_PARENT, description="What it is about."
        ),
        automation=ResourceId(
            "automations",
            _c.automation,
            parent=_PARENT,
            description="The automation of its exception.",
        ),
        agent=ResourceName(("agents",), _c.agent, description="Which agent does it."),
        creator=ResourceName(("users", "policies"), _c.creator, description="Who started it."),
        number=Int64(_c.number, description="Its number.", orderable=True),
        create_time=Timestamp(_c.create_time, description="When it was created.", orderable=True),
        update_time=Timestamp(
            _c.update_time, description="When it last changed.", orderable=True, changing=True
        ),
        end_time=Timestamp(_c.end_time, description="When it became final."),
    ),
)
