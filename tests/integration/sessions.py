"""Agent sessions as tests need them: started, asked, approved over gRPC.

No worker runs beside these tests: `Worker` writes, by SQL, what one would.
"""

from typing import Any

import psycopg
from kintsugi.v1 import action_pb2, action_service_pb2, connector_pb2, connector_service_pb2
from kintsugi.v1 import agent_session_pb2 as pb
from kintsugi.v1 import agent_session_service_pb2 as service
from kintsugi.v1.risk_pb2 import RISK_HIGH

from tests.integration.client import WORKSPACE, Client

STARTED = pb.AgentSession.STATE_STARTED
ANALYZING = pb.AgentSession.STATE_ANALYZING
AWAITING = pb.AgentSession.STATE_AWAITING_CONFIRMATION
EXECUTING = pb.AgentSession.STATE_EXECUTING
COMPLETED = pb.AgentSession.STATE_COMPLETED
FAILED = pb.AgentSession.STATE_FAILED
CANCELLED = pb.AgentSession.STATE_CANCELLED
EXPIRED = pb.AgentSession.STATE_EXPIRED

Action = action_pb2.Action
TYPE = "reprocess_usage_batch"
URL = "http://billing.example/v1/batches/{batch}:reprocess"


class Worker:
    """What a worker would write about sessions of the workspace `default`."""

    def __init__(self, database: str) -> None:
        self._connection = psycopg.connect(database, autocommit=True)

    def analyse(self, session: str, expires: str = "1 day") -> None:
        """It was analysed, nothing is proposed yet, and it waits."""
        self._update(
            "agent_sessions",
            session,
            "state = 3, due_time = clock_timestamp() + %(expires)s::interval,"
            " expire_time = clock_timestamp() + %(expires)s::interval",
            expires=expires,
        )

    def move(self, session: str, state: int) -> None:
        is_final = "NULL" if state >= COMPLETED else "clock_timestamp()"
        self._update(
            "agent_sessions",
            session,
            f"state = %(state)s, due_time = {is_final}, expire_time = NULL",
            state=state,
        )

    def wake(self, session: str) -> None:
        """Somebody has to look at it, whatever it waits for."""
        self._update("agent_sessions", session, "due_time = clock_timestamp()")

    def expire(self, session: str) -> None:
        """The time of what waits is over."""
        self._update(
            "agent_sessions",
            session,
            "expire_time = clock_timestamp() - interval '1 s', due_time = clock_timestamp()",
        )

    def move_action(self, action: str, state: int) -> None:
        self._update("actions", action, "state = %(state)s", state=state)

    def end_action(self, action: str, result: Action.Result) -> None:
        done = result.SerializeToString()
        self._update("actions", action, "state = 4, result = %(result)s", result=done)

    def end_claim(self, action: str) -> None:
        """The minute of whoever claimed it is over."""
        self._update("actions", action, "claim_until = clock_timestamp() - interval '1 s'")

    def row(self, session: str) -> dict[str, Any]:
        """What no answer tells: when it is due, and the note."""
        found = self._connection.execute(
            "SELECT due_time <= clock_timestamp(),"
            " extract(epoch FROM due_time - clock_timestamp()), note"
            " FROM agent_sessions WHERE id = %s",
            [session.rpartition("/")[2]],
        ).fetchone()
        assert found
        return dict(zip(("is_due", "due_in", "note"), found, strict=True))

    def _update(self, table: str, name: str, change: str, **given: Any) -> None:
        done = self._connection.execute(
            f"UPDATE {table} SET {change} WHERE id = %(id)s",  # type: ignore[arg-type]
            {"id": name.rpartition("/")[2], **given},
        )
        assert done.rowcount == 1


def connect(client: Client, **http: Any) -> str:
    """A connector for the type TYPE; answers its name."""
    request = connector_pb2.HttpRequest(**({"method": "POST", "url": URL} | http))
    connector = connector_pb2.Connector(
        action_type=TYPE,
        title="Billing",
        description="Process it again",
        expected_outcome="It is processed",
        risk=RISK_HIGH,
        http=request,
    )
    given = connector_service_pb2.CreateConnectorRequest(
        parent=WORKSPACE, connector_id="billing", connector=connector
    )
    return client.connectors.CreateConnector(given).name


def change_connector(client: Client, connector: str) -> None:
    """A change of what isn't sent."""
    request = connector_pb2.HttpRequest(method="POST", url=URL, timeout={"seconds": 9})
    changed = connector_pb2.Connector(name=connector, http=request)
    client.connectors.UpdateConnector(
        connector_service_pb2.UpdateConnectorRequest(connector=changed)
    )


def delete_connector(client: Client, connector: str) -> None:
    client.connectors.DeleteConnector(connector_service_pb2.DeleteConnectorRequest(name=connector))


def start(client: Client, exception: str = "", **fields: Any) -> pb.AgentSession:
    """One about a new exception that `kintsugi exec` waits for, unless another is given."""
    if not exception and "signal" not in fields:
        exception = client.raise_one(extra={"retry": "exec"}).name
    request_id = fields.pop("request_id", "")
    given = pb.AgentSession(exception=exception, **fields)
    return client.agent_sessions.CreateAgentSession(
        service.CreateAgentSessionRequest(
            parent=WORKSPACE, agent_session=given, request_id=request_id
        )
    )


def ask(client: Client, session: str, type: str = "retry_run", **fields: Any) -> Action:
    """Has a person ask for an action."""
    request_id = fields.pop("request_id", "")
    action = Action(action_type=type, **fields)
    request = action_service_pb2.CreateActionRequest(
        parent=session, action=action, request_id=request_id
    )
    return client.actions.CreateAction(request)


def waiting(client: Client, worker: Worker, *types: str, **fields: Any) -> pb.AgentSession:
    """A session that waits for approval of actions of the types."""
    session = start(client, **fields)
    worker.analyse(session.name)
    for type in types or ("retry_run",):
        ask(client, session.name, type, parameters={"batch": "b-7"})
    return get(client, session.name)


def get(client: Client, session: str) -> pb.AgentSession:
    return client.agent_sessions.GetAgentSession(service.GetAgentSessionRequest(name=session))


def get_action(client: Client, action: str) -> Action:
    return client.actions.GetAction(action_service_pb2.GetActionRequest(name=action))


def chosen(*actions: Action) -> list[service.ChosenAction]:
    return [service.ChosenAction(action=action.name) for action in actions]


def execute(client: Client, session: str, *actions: Action, **fields: Any) -> pb.AgentSession:
    given = {"actions": chosen(*actions)} | fields
    request = service.ExecuteActionsRequest(name=session, **given)
    return client.agent_sessions.ExecuteActions(request)


def reject(client: Client, session: str, *actions: Action, **fields: Any) -> pb.AgentSession:
    given = {"actions": chosen(*actions)} | fields
    return client.agent_sessions.RejectActions(service.RejectActionsRequest(name=session, **given))


def cancel(client: Client, session: str, **fields: Any) -> pb.AgentSession:
    request = service.CancelAgentSessionRequest(name=session, **fields)
    return client.agent_sessions.CancelAgentSession(request)


def propose(client: Client, session: str, timeout: float = 30, **fields: Any) -> pb.AgentSession:
    request = service.ProposeActionsRequest(name=session, **fields)
    return client.agent_sessions.ProposeActions(request, timeout=timeout)


def claim(client: Client, action: str, claim_id: str = "me") -> Action:
    request = action_service_pb2.ClaimActionRequest(name=action, claim_id=claim_id)
    return client.actions.ClaimAction(request)


def report(client: Client, action: str, claim_id: str = "me", **fields: Any) -> Action:
    request = action_service_pb2.ReportActionRequest(name=action, claim_id=claim_id, **fields)
    return client.actions.ReportAction(request)


def told(client: Client, session: pb.AgentSession) -> list[str]:
    """What stands in its thread, oldest first."""
    events = client.list_events(session.thread, page_size=1000).events
    return [event.system_message.content for event in reversed(events)]
