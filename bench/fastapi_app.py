"""What people would write instead: the read and the list of exceptions in FastAPI, on our table.

SQLAlchemy's ORM, pydantic models, uvicorn as it comes. Answers to whom and what our
service does; without its logs, metrics, limits and page tokens. Started by `frameworks`.
"""

import os
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Annotated, Any

from fastapi import Depends, FastAPI, HTTPException
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from kintsugi.v1.automation_stage_pb2 import AutomationStage
from kintsugi.v1.exception_pb2 import ExceptionState
from pydantic import BaseModel
from sqlalchemy import select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase

from server.store import tables

_KEPT_SECONDS = 0.5
"""How long a caller is known without being looked up again; as with ours."""

engine = create_async_engine(os.environ["DATABASE_URL"], pool_size=16)
sessions = async_sessionmaker(engine, expire_on_commit=False)
app = FastAPI()


class Base(DeclarativeBase):
    pass


class Exception(Base):
    __table__ = tables.exceptions


class Location(BaseModel):
    start_byte: int
    end_byte: int


class ExceptionOut(BaseModel):
    name: str
    run: str
    location: Location
    message: str
    create_time: datetime
    update_time: datetime
    state: str
    automation: str
    description: str
    group: str
    resolution_guide_entry: str
    stage: str
    execution_id: str
    extra: dict[str, str]
    assignee: str
    resolver: str
    number: int
    occurrence_count: int
    last_occurrence_time: datetime
    resolution_note: str
    etag: str


class Page(BaseModel):
    exceptions: list[ExceptionOut]


@dataclass(frozen=True)
class Parent:
    name: str
    uid: str


def shown(parent: Parent, row: Any) -> ExceptionOut:
    automation = f"{parent.name}/automations/{row.automation}"
    return ExceptionOut(
        name=f"{parent.name}/exceptions/{row.id}",
        run=f"{automation}/runs/{row.run}",
        location=Location(start_byte=row.start_byte, end_byte=row.end_byte),
        message=row.message,
        create_time=row.create_time,
        update_time=row.update_time,
        state=ExceptionState.Name(row.state),
        automation=automation,
        description=row.description,
        group=f"{parent.name}/exceptionGroups/{row.group}" if row.group else "",
        resolution_guide_entry=row.resolution_guide_entry,
        stage=AutomationStage.Name(row.stage),
        execution_id=row.execution_id,
        extra=row.extra,
        assignee=row.assignee,
        resolver=row.resolver,
        number=row.number,
        occurrence_count=row.occurrence_count,
        last_occurrence_time=row.last_occurrence_time,
        resolution_note=row.resolution_note,
        etag=str(row.version),
    )


async def session() -> AsyncIterator[AsyncSession]:
    async with sessions() as opened:
        yield opened


Opened = Annotated[AsyncSession, Depends(session)]
Credentials = Annotated[HTTPAuthorizationCredentials, Depends(HTTPBearer())]

_known: dict[bytes, tuple[float, dict[str, str]]] = {}


async def memberships(opened: AsyncSession, token: str) -> dict[str, str]:
    """The uids of the caller's workspaces, by their names."""
    digest = sha256(token.encode()).digest()
    known = _known.get(digest)
    if known and known[0] > time.monotonic():
        return known[1]
    workspaces, members, tokens = (
        each.c for each in (tables.workspaces, tables.members, tables.access_tokens)
    )
    statement = (
        select(workspaces.uid, workspaces.organization, workspaces.id)
        .join(tables.members, members.workspace == workspaces.uid)
        .join(tables.access_tokens, tokens.principal == members.id)
        .where(tokens.digest == digest, ~tokens.revoked)
    )
    found = {
        f"organizations/{organization}/workspaces/{id}": str(uid)
        for uid, organization, id in await opened.execute(statement)
    }
    _known[digest] = (time.monotonic() + _KEPT_SECONDS, found)
    return found


async def allowed(
    organization: str, workspace: str, credentials: Credentials, opened: Opened
) -> Parent:
    """The workspace of the path, if the caller is a member of it."""
    name = f"organizations/{organization}/workspaces/{workspace}"
    uid = (await memberships(opened, credentials.credentials)).get(name)
    if uid is None:
        raise HTTPException(404, "there is no such workspace")
    return Parent(name, uid)


Allowed = Annotated[Parent, Depends(allowed)]


@app.get("/api/v1/organizations/{organization}/workspaces/{workspace}/exceptions/{id}")
async def get_exception(parent: Allowed, id: str, opened: Opened) -> ExceptionOut:
    found = await opened.get(Exception, (parent.uid, id))
    if found is None:
        raise HTTPException(404, "there is no such exception")
    return shown(parent, found)


@app.get("/api/v1/organizations/{organization}/workspaces/{workspace}/exceptions")
async def list_exceptions(
    parent: Allowed, opened: Opened, after_time: datetime, after_id: str, page_size: int = 50
) -> Page:
    """The page behind the exception of that time and id, as ours is behind a page token."""
    c = tables.exceptions.c
    behind = tuple_(c.create_time, c.id) < tuple_(after_time, after_id)
    statement = select(Exception).where(c.workspace == parent.uid, behind)
    ordered = statement.order_by(c.create_time.desc(), c.id.desc()).limit(page_size)
    return Page(exceptions=[shown(parent, each) for each in await opened.scalars(ordered)])
