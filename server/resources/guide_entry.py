"""The declarations of GuideEntry, and of its versions: columns, and a row as a message and back.

What may be done to one is in `operations/guide_entries.py`.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from google.protobuf.json_format import MessageToDict
from kintsugi.v1 import guide_entry_pb2 as pb
from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Text,
    bindparam,
    case,
    cast,
    func,
    literal_column,
)

import filters
from filters import Bool, Enum, ResourceId, Schema, Timestamp
from filters.ast import Literal
from filters.conditions import Condition, Operand
from server.domain.errors import Violation
from server.domain.guide_entry_rules import violations
from server.domain.guide_entry_state import Standing, Version
from server.domain.names import (
    AnyAutomationName,
    AutomationName,
    GuideEntryName,
    WorkspaceName,
)
from server.domain.timestamps import set_timestamp
from server.resources.resource import Make, Resource
from server.store.connection import Row
from server.store.statements import Key
from server.store.store import Store
from server.store.tables import guide_entries, guide_entry_revisions

TEXTS = (
    *("title", "root_cause"),
    *("resolution_steps", "resolution_code", "resolution_notes", "content"),
)
"""What an entry says to people; an unset one is an empty column."""

ACTION = ("action_type", "action_parameters", "action_risk", "self_resolving")
"""What it says to the service."""

_COLUMNS = (
    *("create_time", "update_time", "deleted", "id", "automation"),
    *("source_exception", "source_run", "state", "major", "minor", "approved", "version"),
    *ACTION,
    *TEXTS,
)
_ARCHIVED = pb.GuideEntry.STATE_ARCHIVED


def _read(make: Make[pb.GuideEntry], parent: str, row: Row) -> pb.GuideEntry:
    create_time, update_time, deleted, id, automation, exception, run, *rest = row
    state, major, minor, approved, version, *rest = rest
    action_type, action_parameters, action_risk, self_resolving, *texts = rest
    workspace = parent.partition("/automations/")[0]
    parent = f"{workspace}/automations/{automation}"
    entry = make(
        name=f"{parent}/guideEntries/{id}",
        automation=parent,
        source_exception=f"{workspace}/exceptions/{exception}" if exception else "",
        source_run=f"{parent}/runs/{run}" if run else "",
        etag=str(version) if version else "",
        action_type=action_type,
        action_parameters=action_parameters or None,
        action_risk=action_risk,
        self_resolving=self_resolving,
        **{field: text for field, text in zip(TEXTS, texts, strict=True) if text},
    )
    Standing(state, Version(major, minor), Version(approved, 0)).put(entry)
    set_timestamp(entry.create_time, create_time)
    set_timestamp(entry.update_time, update_time)
    if deleted:
        # Nothing changes it until it is undeleted.
        entry.state = _ARCHIVED
        set_timestamp(entry.delete_time, update_time)
    return entry


def _write(entry: pb.GuideEntry) -> dict[str, Any]:
    """The column `state` of a deleted one stays: that is where it is brought back to."""
    state, version, approved = Standing.of(entry)
    kept = state in (_ARCHIVED, pb.GuideEntry.STATE_UNSPECIFIED)
    return {
        **{field: getattr(entry, field) for field in (*TEXTS, *ACTION)},
        "action_parameters": MessageToDict(entry.action_parameters),
        "deleted": state == _ARCHIVED,
        "major": version.major,
        "minor": version.minor,
        "approved": approved.major,
        **({} if kept else {"state": state}),
    }


def _violations(name: GuideEntryName, entry: pb.GuideEntry) -> list[Violation]:
    automation = name.parent
    return violations(automation, entry) if isinstance(automation, AutomationName) else []


def _scope_key(store: Store, automation: AutomationName) -> tuple[str, ...]:
    return store.workspace_key(automation.parent), automation.automation


def _workspace_scope_key(store: Store, automations: AnyAutomationName) -> tuple[str, ...]:
    return (store.workspace_key(automations.parent),)


def _entry_scope_key(store: Store, entry: GuideEntryName) -> tuple[str, ...]:
    return store.workspace_key(entry.parent.parent), entry.id


def _workspace(name: GuideEntryName) -> WorkspaceName:
    return name.parent.parent


class _Version(filters.Text):
    """`major.minor`, which has no order as text, and no parts to look for."""

    operators = filters.Field.operators

    def has(self, operand: Operand, literal: Literal) -> Condition:
        return self.equals(operand, literal)


_DOT: ColumnElement[str] = literal_column("'.'")
_PARENT: ColumnElement[str] = bindparam("parent", type_=Text)
_WORKSPACE = func.substring(_PARENT, literal_column("'^[^/]+/[^/]+/[^/]+/[^/]+'"), type_=Text)
"""The name of the workspace, out of the automation's or the automations'."""

_c = guide_entries.c


def _version(major: ColumnElement[int], minor: ColumnElement[int]) -> ColumnElement[str]:
    return cast(major, Text) + _DOT + cast(minor, Text)


FILTERS = Schema(
    title=filters.Text(
        _c.title,
        searched=True,
        description="What people know it by.",
        orderable=True,
        changing=True,
    ),
    resolution_steps=filters.Text(_c.resolution_steps, searched=True, description="What to do."),
    resolution_code=filters.Text(
        _c.resolution_code, searched=True, description="Code that shows how."
    ),
    resolution_notes=filters.Text(
        _c.resolution_notes, searched=True, description="What else to know."
    ),
    root_cause=filters.Text(_c.root_cause, searched=True, description="Why it happens."),
    content=filters.Text(_c.content, description="Deprecated; only the field `content`."),
    automation=ResourceId(
        "automations",
        _c.automation,
        parent=_WORKSPACE,
        description="The automation that it belongs to.",
        orderable=True,
    ),
    state=Enum(
        pb.GuideEntry.State,
        case((_c.deleted, literal_column(str(_ARCHIVED))), else_=_c.state),
        description="Where it stands; `ARCHIVED` needs `show_deleted`.",
    ),
    version=_Version(_version(_c.major, _c.minor), description="Its newest version, `1.1`."),
    approved_version=_Version(
        case((_c.approved > literal_column("0"), cast(_c.approved, Text) + ".0"), else_=""),
        description='The version in use; `approved_version = ""` is none.',
    ),
    action_type=filters.Text(_c.action_type, description="What kind of action resolves it."),
    self_resolving=Bool(_c.self_resolving, description="Whether it may resolve by itself."),
    source_exception=ResourceId(
        "exceptions",
        _c.source_exception,
        parent=_WORKSPACE,
        description="The exception that it was learned from.",
    ),
    source_run=ResourceId(
        "runs",
        _c.source_run,
        parent=_WORKSPACE + "/automations/" + _c.automation,
        any_of=True,
        description="The run that it was learned from.",
    ),
    create_time=Timestamp(_c.create_time, description="When it was created.", orderable=True),
    update_time=Timestamp(
        _c.update_time, description="When it last changed.", orderable=True, changing=True
    ),
)

_r = guide_entry_revisions.c

REVISION_FILTERS = Schema(
    version=_Version(_version(_r.major, _r.minor), description="Which one, `1.0`."),
    state=Enum(pb.GuideEntry.State, _r.state, description="Where it last stood."),
    update_time=Timestamp(_r.update_time, description="When it last changed."),
)

GUIDE_ENTRY: Resource[pb.GuideEntry, GuideEntryName] = Resource(
    singular="guide_entry",
    message=pb.GuideEntry,
    name=GuideEntryName,
    table=guide_entries,
    columns=_COLUMNS,
    read=_read,
    write=_write,
    scope=("workspace", "automation"),
    scope_key=_scope_key,
    workspace=_workspace,
    workspace_column="workspace",
    violations=_violations,
    mutable=(*TEXTS, *ACTION),
    filters=FILTERS,
    # One may hold some 300 KiB.
    step=16,
)

GUIDE_ENTRY_ANYWHERE = replace(GUIDE_ENTRY, scope=("workspace",), scope_key=_workspace_scope_key)
"""The same, of all automations of a workspace."""

_NOT_KEPT: Mapping[str, ColumnElement[Any]] = {
    "deleted": literal_column("false"),
    "version": cast(literal_column("0"), BigInteger),
}

GUIDE_ENTRY_REVISION = replace(
    GUIDE_ENTRY,
    table=guide_entry_revisions,
    computed=_NOT_KEPT,
    scope=("workspace", "id"),
    scope_key=_entry_scope_key,
    filters=REVISION_FILTERS,
    order=(Key("major", descending=True), Key("minor", descending=True)),
)
"""The versions of an entry, which is their parent."""
