"""The declaration of Exception: its columns, and how a row becomes a message and back.

What may be done to one is in `operations/exceptions.py`.
"""

from dataclasses import replace
from typing import Any

from kintsugi.v1 import exception_pb2 as pb
from kintsugi.v1.automation_stage_pb2 import AutomationStage
from sqlalchemy import ColumnElement, Text, bindparam

import filters
from filters import Enum, Int64, Map, Message, ResourceId, ResourceName, Schema, Timestamp
from server.domain.errors import Violation
from server.domain.exception_rules import violations
from server.domain.names import ExceptionName, RunName, WorkspaceName
from server.domain.timestamps import set_timestamp
from server.resources.resource import Make, Resource
from server.store.connection import Row
from server.store.counts import COUNTED, DAY_COUNTED, DIMENSIONS
from server.store.store import Store
from server.store.tables import exceptions

_COLUMNS = (
    *("create_time", "update_time", "last_occurrence_time"),
    *("id", "automation", "run", "start_byte", "end_byte", "group"),
    *("number", "message", "execution_id", "stage", "state", "description", "assignee"),
    *("resolver", "resolution_guide_entry", "resolution_note"),
    *("extra", "occurrence_count", "version"),
)


def _read(make: Make[pb.Exception], parent: str, row: Row) -> pb.Exception:
    """Field by field: that takes three quarters of the time of keyword arguments."""
    # fmt: off
    (
        created, updated, last_occurred,
        id, automation, run, start, end, group,
        number, message, execution_id, stage, state, description, assignee,
        resolver, guide_entry, note,
        extra, occurrence_count, version,
    ) = row
    # fmt: on
    automation = f"{parent}/automations/{automation}"
    exception = make()
    exception.name = f"{parent}/exceptions/{id}"
    exception.run = f"{automation}/runs/{run}"
    exception.location.start_byte = start
    exception.location.end_byte = end
    exception.message = message
    set_timestamp(exception.create_time, created)
    set_timestamp(exception.update_time, updated)
    exception.state = state
    exception.automation = automation
    exception.description = description
    exception.group = f"{parent}/exceptionGroups/{group}" if group else ""
    exception.resolution_guide_entry = guide_entry
    exception.stage = stage
    exception.execution_id = execution_id
    fields = exception.extra
    for key, value in extra.items():
        fields[key] = value
    exception.assignee = assignee
    exception.resolver = resolver
    exception.number = number
    exception.occurrence_count = occurrence_count
    set_timestamp(exception.last_occurrence_time, last_occurred)
    exception.resolution_note = note
    exception.etag = str(version)
    return exception


def _write(exception: pb.Exception) -> dict[str, Any]:
    run = RunName.parse(exception.run)
    return {
        "automation": run.automation,
        "run": run.run,
        "start_byte": exception.location.start_byte,
        "end_byte": exception.location.end_byte,
        "message": exception.message,
        "execution_id": exception.execution_id,
        "stage": exception.stage,
        "state": exception.state,
        "group": exception.group.rpartition("/")[2],
        "assignee": exception.assignee,
        "resolver": exception.resolver,
        "resolution_guide_entry": exception.resolution_guide_entry,
        "resolution_note": exception.resolution_note,
        "extra": dict(exception.extra),
    }


def _violations(name: ExceptionName, exception: pb.Exception) -> list[Violation]:
    return violations(name.parent, exception)


def _scope_key(store: Store, workspace: WorkspaceName) -> tuple[str, ...]:
    return (store.workspace_key(workspace),)


def _workspace(name: ExceptionName) -> WorkspaceName:
    return name.parent


_c = exceptions.c
_PARENT: ColumnElement[str] = bindparam("parent", type_=Text)
"""The name of the workspace, which stands in no row."""

FILTERS = Schema(
    state=Enum(
        pb.ExceptionState,
        _c.state,
        description="Where it stands.",
        orderable=True,
        changing=True,
    ),
    automation=ResourceId(
        "automations",
        _c.automation,
        parent=_PARENT,
        description="The automation that the run belongs to.",
        orderable=True,
    ),
    run=ResourceId(
        "runs",
        _c.run,
        parent=_PARENT + "/automations/" + _c.automation,
        any_of=True,
        description='The run that broke; `run = "a OR b"` is either of two.',
        orderable=True,
    ),
    group=ResourceId(
        "exceptionGroups",
        _c.group,
        parent=_PARENT,
        description='Its kind; `group = ""` is ungrouped.',
    ),
    message=filters.Text(_c.message, searched=True, description="What the run said."),
    description=filters.Text(_c.description, searched=True, description="What it means."),
    assignee=ResourceName(("users",), _c.assignee, description="Who is to resolve it."),
    resolver=ResourceName(("users", "agents"), _c.resolver, description="Who resolved it."),
    stage=Enum(AutomationStage, _c.stage, description="The stage of the automation."),
    extra=Map(_c.extra, description="What else is known, `extra.host = worker-3`."),
    location=Message(
        {
            "start_byte": Int64(_c.start_byte, description="Its first byte."),
            "end_byte": Int64(_c.end_byte, description="The byte after its last one."),
        },
        description="Where in the run's code or output it happened.",
    ),
    execution_id=filters.Text(_c.execution_id, description="Which execution within the run broke."),
    number=Int64(_c.number, description="Its number.", orderable=True),
    occurrence_count=Int64(
        _c.occurrence_count,
        description="How often it was raised while it was pending.",
        orderable=True,
        changing=True,
    ),
    create_time=Timestamp(_c.create_time, description="When it was first raised.", orderable=True),
    update_time=Timestamp(
        _c.update_time, description="When it last changed.", orderable=True, changing=True
    ),
    last_occurrence_time=Timestamp(
        _c.last_occurrence_time,
        description="When it was last raised.",
        orderable=True,
        changing=True,
    ),
)

_BY_NAME: dict[str, Any] = FILTERS.fields()
COUNT_FILTERS = Schema(
    **{name: replace(_BY_NAME[name], column=COUNTED.c[name]) for name in DIMENSIONS}
)
"""The fields that exceptions are counted by."""

SPAN_FILTERS = (
    Schema(**{name: _BY_NAME[name] for name in ("state", "create_time")}),
    Schema(
        state=replace(_BY_NAME["state"], column=DAY_COUNTED.c.state),
        create_time=_BY_NAME["create_time"],
    ),
)
"""The fields that exceptions are counted by on each day; the time itself stands in no count."""

EXCEPTION: Resource[pb.Exception, ExceptionName] = Resource(
    singular="exception",
    message=pb.Exception,
    name=ExceptionName,
    table=exceptions,
    columns=_COLUMNS,
    read=_read,
    write=_write,
    scope=("workspace",),
    scope_key=_scope_key,
    workspace=_workspace,
    workspace_column="workspace",
    violations=_violations,
    mutable=("assignee", "group", "extra"),
    filters=FILTERS,
    counts=COUNT_FILTERS,
    spans=SPAN_FILTERS,
)
