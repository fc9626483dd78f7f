"""What can be done to connectors: create, change, find by action type, try.

Getting, listing and deleting need no more than the engine.
"""

import threading
import time
from collections.abc import Sequence
from typing import Any

from kintsugi.v1 import action_pb2, exception_pb2
from kintsugi.v1 import connector_pb2 as pb
from kintsugi.v1 import connector_service_pb2 as service

from server.domain.call import current_call, remaining_seconds
from server.domain.connector_rules import (
    action_type_violations,
    risk_of,
    timeout_seconds,
    violations,
)
from server.domain.errors import AlreadyExists, InvalidFields, InvalidName
from server.domain.ids import new_id
from server.domain.json_values import plain
from server.domain.names import ActionName, ConnectorName, ExceptionName, WorkspaceName
from server.domain.request_template import render, values_of
from server.outbound.outcome import Kind, Outcome
from server.outbound.sending import Sender
from server.resources.collection import Collection
from server.resources.connector import CONNECTOR
from server.resources.exception import EXCEPTION
from server.store.changes import change_parameters, once
from server.store.connectors import ACTION_TYPE_INDEX, create_statement, of_types_statement
from server.store.errors import Duplicate
from server.store.sealing import Note, audit
from server.store.store import Store

Connectors = Collection[pb.Connector, ConnectorName]

_TESTED = "connector.test"

_CREATE = create_statement(CONNECTOR.columns)
_OF_TYPES = of_types_statement(CONNECTOR.columns)


def create(connectors: Connectors, request: service.CreateConnectorRequest) -> pb.Connector:
    """Creates a connector. Raises AlreadyExists for its id, or for its action type."""
    parent = WorkspaceName.parse(request.parent)
    name = _new_name(parent, request.connector_id)
    _check(request.connector)
    store = connectors.store
    workspace = store.workspace_key(parent)

    def work() -> pb.Connector:
        recording = change_parameters(request, f"{parent}/connectors")
        [row] = store.database.all(_CREATE, _row(workspace, name, request.connector) | recording)
        return CONNECTOR.read(pb.Connector, str(parent), row)

    def repeat(names: Sequence[str]) -> pb.Connector:
        return connectors.get(ConnectorName.parse(names[0]))

    try:
        return once(store, workspace, request, work, repeat)
    except Duplicate as error:
        if error.index != ACTION_TYPE_INDEX:
            raise AlreadyExists(name) from error
        parameters = {"workspace": workspace, "types": [request.connector.action_type]}
        row = store.database.one(_OF_TYPES, parameters)
        twin = CONNECTOR.read(pb.Connector, str(parent), row).name if row else name
        what = f"{request.connector.action_type} is carried out by another connector already"
        raise AlreadyExists(twin, what) from error


def update(connectors: Connectors, request: service.UpdateConnectorRequest) -> pb.Connector:
    """Changes a connector; it is at its next revision where that is about more than words."""
    name = ConnectorName.parse(request.connector.name)
    return connectors.update(name, request.connector, request, revise=_revise)


def test(
    connectors: Connectors,
    sender: Sender,
    request: service.TestConnectorRequest,
    cancelled: threading.Event,
) -> service.TestConnectorResponse:
    """What would be sent, and, if that is asked for, what comes of it, which the audit has too.

    Raises RenderFailed.
    """
    name = ConnectorName.parse(request.name)
    connector = connectors.get(name)
    http = connector.http
    made_up = ActionName(name.organization, name.workspace, "test", new_id())
    values = values_of(request.parameters, _exception(connectors, name, request), str(made_up))
    response = service.TestConnectorResponse(request=render(http, values).request)
    if request.send:
        begin = time.monotonic()
        outcome = sender.send(
            http,
            response.request,
            workspace=name.parent,
            idempotency_key=made_up.id,
            seconds=min(timeout_seconds(http), max(remaining_seconds() - 1, 0.1)),
            is_dry_run=True,
            cancelled=cancelled,
        )
        _audit(connectors.store, connector, request, outcome)
        put_outcome(outcome, response.result, time.monotonic() - begin)
    return response


def put_outcome(outcome: Outcome, result: action_pb2.Action.Result, seconds: float) -> None:
    """Writes what came of a request that took so long."""
    result.success = outcome.kind is Kind.SUCCEEDED
    result.error = outcome.error
    result.duration.FromNanoseconds(round(seconds * 1e9))
    if outcome.response is not None:
        result.response.update(outcome.response)


def _audit(
    store: Store, connector: pb.Connector, request: service.TestConnectorRequest, outcome: Outcome
) -> None:
    call = current_call()
    payload = {
        "revision": connector.revision,
        "parameters": plain(request.parameters),
        "exception": request.exception,
        "outcome": outcome.kind.value,
        "status": (outcome.response or {}).get("status"),
        "error": outcome.error,
    }
    who = {"token": call.token, "address": call.address, "method": call.method}
    note = Note(_TESTED, call.principal, connector.name, payload, **who)
    with store.database.transaction() as transaction:
        audit(transaction, store.workspace_key(ConnectorName.parse(connector.name).parent), note)


def _exception(
    connectors: Connectors, name: ConnectorName, request: service.TestConnectorRequest
) -> exception_pb2.Exception | None:
    if not request.exception:
        return None
    exception = ExceptionName.parse(request.exception)
    if exception.parent != name.parent:
        what = f"must be an exception of the connector's workspace, {name.parent}"
        raise InvalidFields([("exception", what)])
    return Collection(connectors.store, EXCEPTION).get(exception)


def _revise(before: pb.Connector, after: pb.Connector) -> None:
    after.risk = risk_of(after)
    if (after.http, after.risk) != (before.http, before.risk):
        after.revision += 1


def _row(workspace: str, name: ConnectorName, connector: pb.Connector) -> dict[str, Any]:
    return CONNECTOR.write(connector) | {
        "workspace": workspace,
        "id": name.id,
        "action_type": connector.action_type,
        "risk": risk_of(connector),
        "revision": 1,
    }


def _new_name(parent: WorkspaceName, id: str) -> ConnectorName:
    try:
        return ConnectorName.parse(f"{parent}/connectors/{id}")
    except InvalidName:
        what = "must be of letters, digits and `_.~@+-`, and not begin with one of `.~@+-`"
        raise InvalidFields([("connector_id", what)]) from None


def _check(connector: pb.Connector) -> None:
    found = [*action_type_violations(connector.action_type), *violations(connector)]
    if found:
        raise InvalidFields([(f"connector.{field}", what) for field, what in found])
