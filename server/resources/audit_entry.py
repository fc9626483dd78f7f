"""The declaration of AuditEntry: its columns, and how a row becomes a message.

Nobody changes one; what may be done with them is in `operations/audit.py`.
"""

from collections.abc import Mapping
from typing import Any

from google.api import resource_pb2
from kintsugi.v1 import audit_entry_pb2 as pb
from kintsugi.v1 import exception_pb2
from kintsugi.v1.access_token_pb2 import AccessToken
from kintsugi.v1.action_pb2 import Action
from kintsugi.v1.agent_session_pb2 import AgentSession
from kintsugi.v1.connector_pb2 import Connector
from kintsugi.v1.event_pb2 import Event
from kintsugi.v1.guide_entry_pb2 import GuideEntry
from kintsugi.v1.member_pb2 import Member

import filters
from filters import Int64, Schema, Timestamp
from server.domain.errors import NotFound, Violation
from server.domain.names import AuditEntryName, WorkspaceName
from server.domain.timestamps import set_timestamp
from server.resources.resource import Make, Resource
from server.store.connection import Row
from server.store.statements import Key
from server.store.store import Store
from server.store.tables import audit_entries

_TEXTS = ("type", "principal", "token", "address", "method", "resource", "outcome")
_COLUMNS = ("id", "create_time", "count", "hash", "before", "after", *_TEXTS)
_MOST_DIGITS = 18

_AUDITED = (
    *(AccessToken, Action, AgentSession, Connector, Event, GuideEntry, Member),
    exception_pb2.Exception,
)
_NAMES = {
    (message.DESCRIPTOR.GetOptions().Extensions[resource_pb2.resource].plural, field.name): {
        value.number: value.name for value in field.enum_type.values
    }
    for message in _AUDITED
    for field in message.DESCRIPTOR.fields
    if field.enum_type
}
"""Of the enums' numbers, by collection and field: what is sealed are the columns of a row."""


def _read(make: Make[pb.AuditEntry], parent: str, row: Row) -> pb.AuditEntry:
    id, create_time, count, hash, before, after, *texts = row
    entry = make(
        name=f"{parent}/auditEntries/{id}",
        sequence=id,
        count=count,
        hash=hash.hex(),
        **dict(zip(_TEXTS, texts, strict=True)),
    )
    set_timestamp(entry.create_time, create_time)
    collection = entry.resource.rpartition("/")[0].rpartition("/")[2]
    if before is not None:
        entry.before.update(_named(collection, before))
    if after is not None:
        entry.after.update(_named(collection, after))
    return entry


def _named(collection: str, fields: Mapping[str, Any]) -> dict[str, Any]:
    """With names of enums for their numbers, where there is one."""
    enums = {key: _NAMES[collection, key] for key in fields if (collection, key) in _NAMES}
    return {**fields, **{key: enums[key].get(fields[key], fields[key]) for key in enums}}


def _write(_: pb.AuditEntry) -> dict[str, Any]:
    return {}


def _violations(_: AuditEntryName, __: pb.AuditEntry) -> list[Violation]:
    return []


def _scope_key(store: Store, workspace: WorkspaceName) -> tuple[str, ...]:
    return (store.workspace_key(workspace),)


def _workspace(name: AuditEntryName) -> WorkspaceName:
    return name.parent


def _row_id(name: AuditEntryName) -> int:
    if name.id.isdecimal() and name.id[0] != "0" and len(name.id) <= _MOST_DIGITS:
        return int(name.id)
    raise NotFound(name)


_c = audit_entries.c

FILTERS = Schema(
    sequence=Int64(_c.id, description="Its place in the chain.", orderable=True),
    type=filters.Text(_c.type, description='What was done, `type = "exception.*"`.'),
    principal=filters.Text(_c.principal, description="Who did it."),
    token=filters.Text(_c.token, description="The id of the access token it came with."),
    address=filters.Text(_c.address, description="The IP address it came from."),
    method=filters.Text(_c.method, description="The gRPC method."),
    resource=filters.Text(_c.resource, description="The name of what was changed."),
    outcome=filters.Text(_c.outcome, description="`OK`, or why calls were refused."),
    count=Int64(_c.count, description="How many calls it stands for."),
    create_time=Timestamp(_c.create_time, description="When it was done.", orderable=True),
)

AUDIT_ENTRY: Resource[pb.AuditEntry, AuditEntryName] = Resource(
    singular="audit_entry",
    message=pb.AuditEntry,
    name=AuditEntryName,
    table=audit_entries,
    columns=_COLUMNS,
    read=_read,
    write=_write,
    scope=("workspace",),
    scope_key=_scope_key,
    workspace=_workspace,
    workspace_column="workspace",
    violations=_violations,
    row_id=_row_id,
    filters=FILTERS,
    order=(Key("id", descending=True),),
    # One may hold some 300 KiB.
    step=16,
)
