"""Keeps the steps of an analysis, or an answer, as they are done, each with what is told of it.

Which steps there are is the business of reasoners.
"""

import json
from collections.abc import Mapping
from typing import Any

from kintsugi.v1 import event_pb2

from server.domain.agent_session_rules import CHAT
from server.domain.agent_session_state import ACTIVE, ANALYZING
from server.operations.session_turn import Desk
from server.store import session_steps
from server.store.leases import Lease


def done(desk: Desk, lease: Lease) -> Mapping[str, Any]:
    """What came of the steps that are done, by their keys."""
    return session_steps.done(desk.store.database, lease.workspace, lease.name.id)


def keep(desk: Desk, lease: Lease, key: str, result: object, *events: event_pb2.Event) -> None:
    """Notes that a step is done, and tells it. Raises Superseded, LeaseLost."""
    with desk.turn(lease, "AnalyseAgentSession") as turn:
        turn.check(ACTIVE if turn.session.kind == CHAT else ANALYZING)
        written = json.dumps(result)
        session_steps.add(turn.transaction, lease.workspace, lease.name.id, key, written)
        turn.say(*events)
