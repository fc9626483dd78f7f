"""The declaration of Connector: its columns, and how a row becomes a message and back.

What may be done to one is in `operations/connectors.py`.
"""

from typing import Any

from google.protobuf.json_format import MessageToDict, ParseDict
from kintsugi.v1 import connector_pb2 as pb
from kintsugi.v1.risk_pb2 import Risk

import filters
from filters import Enum, Schema, Timestamp
from server.domain.connector_rules import violations
from server.domain.errors import Violation
from server.domain.names import ConnectorName, WorkspaceName
from server.domain.timestamps import set_timestamp
from server.resources.resource import Make, Resource
from server.store.connection import Row
from server.store.statements import Key
from server.store.store import Store
from server.store.tables import connectors

_COLUMNS = (
    *("create_time", "update_time", "id", "action_type", "title", "description"),
    *("expected_outcome", "risk", "http", "revision", "version"),
)


def _read(make: Make[pb.Connector], parent: str, row: Row) -> pb.Connector:
    create_time, update_time, id, action_type, title, description, *rest = row
    outcome, risk, http, revision, version = rest
    connector = make(
        name=f"{parent}/connectors/{id}",
        action_type=action_type,
        title=title,
        description=description,
        expected_outcome=outcome,
        risk=risk,
        revision=revision,
        etag=str(version),
    )
    ParseDict(http, connector.http)
    set_timestamp(connector.create_time, create_time)
    set_timestamp(connector.update_time, update_time)
    return connector


def _write(connector: pb.Connector) -> dict[str, Any]:
    return {
        "title": connector.title,
        "description": connector.description,
        "expected_outcome": connector.expected_outcome,
        "risk": connector.risk,
        "http": MessageToDict(connector.http, preserving_proto_field_name=True),
        "revision": connector.revision,
    }


def _violations(_: ConnectorName, connector: pb.Connector) -> list[Violation]:
    return violations(connector)


def _scope_key(store: Store, workspace: WorkspaceName) -> tuple[str, ...]:
    return (store.workspace_key(workspace),)


def _workspace(name: ConnectorName) -> WorkspaceName:
    return name.parent


_c = connectors.c

CONNECTOR: Resource[pb.Connector, ConnectorName] = Resource(
    singular="connector",
    message=pb.Connector,
    name=ConnectorName,
    table=connectors,
    columns=_COLUMNS,
    read=_read,
    write=_write,
    scope=("workspace",),
    scope_key=_scope_key,
    workspace=_workspace,
    workspace_column="workspace",
    violations=_violations,
    mutable=("title", "description", "expected_outcome", "risk", "http"),
    filters=Schema(
        action_type=filters.Text(
            _c.action_type, description="What it carries out.", orderable=True
        ),
        title=filters.Text(_c.title, description="What people know it by."),
        risk=Enum(Risk, _c.risk, description="The least that may go wrong."),
        create_time=Timestamp(_c.create_time, description="When it was created.", orderable=True),
        update_time=Timestamp(
            _c.update_time, description="When it last changed.", orderable=True, changing=True
        ),
    ),
    order=(Key("id", descending=False),),
)
