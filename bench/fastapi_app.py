"""What people would write instead: the read and the list of exceptions in FastAPI, on our table.

SQLAlchemy's ORM over asyncpg, pydantic models, uvicorn as it comes. Started by `frameworks`.
"""

import os
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Annotated, Any

from fastapi import Depends, FastAPI, HTTPException
from pydantic import BaseModel, ConfigDict
from sqlalchemy import select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase

from server.store import tables

engine = create_async_engine(os.environ["DATABASE_URL"], pool_size=16)
sessions = async_sessionmaker(engine, expire_on_commit=False)
app = FastAPI()


class Base(DeclarativeBase):
    pass


class Exception(Base):
    __table__ = tables.exceptions


class ExceptionOut(BaseModel):
    """The columns that our own answer has fields for."""

    model_config = ConfigDict(from_attributes=True)

    id: str
    number: int
    automation: str
    run: str
    start_byte: int
    end_byte: int
    message: str
    execution_id: str
    stage: int
    state: int
    description: str
    group: str
    assignee: str
    resolver: str
    resolution_guide_entry: str
    resolution_note: str
    extra: dict[str, str]
    occurrence_count: int
    last_occurrence_time: datetime
    version: int
    create_time: datetime
    update_time: datetime


class Page(BaseModel):
    exceptions: list[ExceptionOut]


async def session() -> AsyncIterator[AsyncSession]:
    async with sessions() as opened:
        yield opened


Opened = Annotated[AsyncSession, Depends(session)]


@app.get("/workspaces/{workspace}/exceptions/{id}", response_model=ExceptionOut)
async def get_exception(workspace: str, id: str, opened: Opened) -> Any:
    found = await opened.get(Exception, (workspace, id))
    if found is None:
        raise HTTPException(404, "there is no such exception")
    return found


@app.get("/workspaces/{workspace}/exceptions", response_model=Page)
async def list_exceptions(
    workspace: str, opened: Opened, after_time: datetime, after_id: str, page_size: int = 50
) -> Any:
    """The page behind the exception of that time and id, as ours is behind a page token."""
    c = tables.exceptions.c
    behind = tuple_(c.create_time, c.id) < tuple_(after_time, after_id)
    statement = select(Exception).where(c.workspace == workspace, behind)
    ordered = statement.order_by(c.create_time.desc(), c.id.desc()).limit(page_size)
    return {"exceptions": list(await opened.scalars(ordered))}
