"""What an action is to be before it is one: proposed by a reasoner or asked for by a person.

What may be done to it once it is proposed is in `actions.py`.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from kintsugi.v1 import action_pb2 as pb
from kintsugi.v1 import agent_session_pb2, connector_pb2, exception_pb2
from kintsugi.v1.risk_pb2 import RISK_LOW, RISK_MEDIUM, RISK_UNSPECIFIED, Risk

from server.domain import action_state
from server.domain.action_types import ACTION_TYPES, RETRY_RUN, ActionType, is_waited_for
from server.domain.digests import digest_of
from server.domain.ids import new_id
from server.domain.json_values import plain
from server.domain.names import AgentSessionName, WorkspaceName
from server.domain.request_template import render, values_of
from server.domain.template import RenderFailed
from server.resources.action import ACTION, content_of
from server.resources.connector import CONNECTOR
from server.store.actions import insert_statement, of_earlier_sessions_statement
from server.store.changes import FURTHER, change_parameters
from server.store.connection import Transaction
from server.store.connectors import of_types_statement

_INSERT = insert_statement(ACTION.columns)
_EARLIER = of_earlier_sessions_statement(ACTION.columns)
_CONNECTORS = of_types_statement(CONNECTOR.columns)

MOST_BYTES = 1024 * 1024
"""Of all actions of a session, as an answer has all of them; what came of them isn't counted."""

_MAY_BE_DONE = (action_state.EXECUTING, action_state.SUCCEEDED, action_state.UNKNOWN)
"""What has been, or may have been, done to its target."""

_CONNECTOR_CHANGED = "the connector was changed after this was proposed"

_UNKNOWN = ActionType("", "", ("Do it",))

Exception_ = exception_pb2.Exception | None
Connectors = Mapping[str, connector_pb2.Connector]
"""The connectors of a workspace, by action types."""


class Proposed(NamedTuple):
    """One action to propose.

    - `risk`: the least; that of its connector, or the built-in one, applies if it is higher.
    - `guide_entry`: the full name of the entry that it came from.
    - `is_standing`: that entry's version in use is self-resolving, and has the fingerprint.
    - `connector`, `connector_revision`: the one that its approver saw, if any.
    - `replaces`: the full name of the action that it repeats.
    """

    action_type: str
    parameters: Mapping[str, Any] = {}
    description: str = ""
    expected_outcome: str = ""
    target_entities: Sequence[str] = ()
    risk: "Risk.ValueType" = RISK_UNSPECIFIED
    guide_entry: str = ""
    is_standing: bool = False
    connector: str = ""
    connector_revision: int = 0
    replaces: str = ""

    def standing_risk(self, action: pb.Action) -> "Risk.ValueType | None":
        """The highest risk that was approved in advance for the action that came of it.

        None if nothing was: it repeats one, in whatever session, or another connector would carry
        it out than was seen.
        """
        seen = (self.connector, self.connector_revision)
        is_seen = seen == (action.connector.rpartition("/")[2], action.connector_revision)
        is_first = not (self.replaces or action.state_reason)
        holds = self.is_standing and is_seen and is_first
        return (self.risk or RISK_LOW) if holds else None


def again(action: pb.Action) -> Proposed:
    """What proposes an action anew, as it is carried out now."""
    return Proposed(
        action_type=action.action_type,
        parameters=plain(action.parameters),
        description=action.description,
        expected_outcome=action.expected_outcome,
        target_entities=list(action.target_entities),
        risk=action.risk,
        guide_entry=action.guide_entry,
        replaces=action.name,
    )


def propose(  # noqa: PLR0913 - where, and what
    transaction: Transaction,
    workspace: str,
    session: agent_session_pb2.AgentSession,
    exception: Exception_,
    proposed: Sequence[Proposed],
    *,
    there: Iterable[pb.Action],
) -> list[pb.Action]:
    """Inserts the actions as PROPOSED, behind those that are `there`, and answers them in their
    order. The session is locked.

    One that can't be executed here, because nothing carries out its type, its request can't be
    made, or there is no room for it, is left to people and says why. One that an earlier session of
    the exception may have done already says so.
    """
    name = AgentSessionName.parse(session.name)
    connectors = connectors_for(
        transaction, workspace, name.parent, (each.action_type for each in proposed)
    )
    made = [action_of(session, exception, connectors, each) for each in proposed]
    if session.exception:
        _tell_what_may_be_done(transaction, workspace, session, made)
    made = _bounded(made, MOST_BYTES - size_of(there))
    recording = change_parameters(FURTHER, f"{name}/actions")
    rows = [{"workspace": workspace, "session": name.id, **_columns(action)} for action in made]
    inserted = transaction.each(_INSERT, [row | recording for row in rows])
    return [ACTION.read(pb.Action, str(name), row) for row in inserted]


def _tell_what_may_be_done(
    transaction: Transaction,
    workspace: str,
    session: agent_session_pb2.AgentSession,
    made: Sequence[pb.Action],
) -> None:
    """Has each that would do the same as one of an earlier session name that one."""
    key = {"workspace": workspace, "session": _id(session.name)}
    asked = {"exception": _id(session.exception), "states": list(_MAY_BE_DONE)}
    rows = transaction.all(_EARLIER, key | asked)
    earlier = [ACTION.read(pb.Action, session.name, row) for row in rows]
    done = {_target(each): each for each in earlier}
    for action in made:
        if action.automated and (before := done.get(_target(action))):
            state = action_state.label(before.state)
            action.state_reason = f"it may be done twice: {before.name} was begun, and is {state}"


def _target(action: pb.Action) -> tuple[str, bytes]:
    """What it is done to, for one exception; its request may have its own name in it, too."""
    return action.action_type, action.parameters.SerializeToString(deterministic=True)


def size_of(actions: Iterable[pb.Action]) -> int:
    """Bytes of all that is proposed with them."""
    return sum(each.ByteSize() - each.result.ByteSize() for each in actions)


def connectors_for(
    transaction: Transaction, workspace: str, parent: WorkspaceName, types: Iterable[str]
) -> Connectors:
    """Those that carry out the types, as they are now."""
    found = transaction.all(_CONNECTORS, {"workspace": workspace, "types": list(set(types))})
    read = [CONNECTOR.read(connector_pb2.Connector, str(parent), row) for row in found]
    return {connector.action_type: connector for connector in read}


def action_of(
    session: agent_session_pb2.AgentSession,
    exception: Exception_,
    connectors: Connectors,
    proposed: Proposed,
) -> pb.Action:
    """The action, with an id of its own, as it would be shown."""
    known = ACTION_TYPES.get(proposed.action_type, _UNKNOWN)
    connector = connectors.get(proposed.action_type)
    said = connector or connector_pb2.Connector(risk=known.risk)
    action = pb.Action(
        name=f"{session.name}/actions/{new_id()}",
        action_type=proposed.action_type,
        description=proposed.description or said.description or said.title or known.description,
        expected_outcome=proposed.expected_outcome
        or said.expected_outcome
        or known.expected_outcome,
        target_entities=proposed.target_entities,
        risk=max(proposed.risk, said.risk or RISK_MEDIUM),
        guide_entry=proposed.guide_entry,
        replaces=proposed.replaces,
        exception=session.exception,
    )
    if proposed.parameters:
        action.parameters.update(plain(proposed.parameters))
    if connector is None:
        _leave(action, known, _reason(proposed.action_type, exception))
    else:
        _connect(action, connector, exception)
    action.digest = _digest(action, connector)
    return action


def why_changed(action: pb.Action, exception: Exception_, connectors: Connectors) -> str:
    """Why an action, carried out now, would no longer be what was shown; empty if it would be."""
    if not action.connector:
        return ""
    connector = connectors.get(action.action_type)
    if connector is None or connector.name != action.connector:
        return "its connector is no longer there"
    if connector.revision != action.connector_revision:
        return _CONNECTOR_CHANGED
    again = pb.Action(
        name=action.name, action_type=action.action_type, parameters=action.parameters
    )
    _connect(again, connector, exception)
    if again.state_reason:
        return again.state_reason
    if again.request != action.request:
        return "what it would send is no longer the same"
    # One of the same id that was made anew counts its revisions anew.
    return "" if _digest(again, connector) == action.digest else _CONNECTOR_CHANGED


def is_known(action_type: str, connectors: Connectors) -> bool:
    """Whether there is such a type in a workspace with these connectors."""
    return action_type in ACTION_TYPES or action_type in connectors


def _digest(action: pb.Action, connector: connector_pb2.Connector | None) -> str:
    request = action.request if action.HasField("request") else None
    carried_out_by = connector if action.connector else None
    return digest_of(action.action_type, plain(action.parameters), request, carried_out_by)


def _bounded(made: Sequence[pb.Action], room: int) -> list[pb.Action]:
    """The same, but for each that there is no room for, of which only the words are kept."""
    bounded = []
    for action in made:
        size = size_of([action])
        bounded.append(action if size <= room else _reduced(action))
        room -= size if size <= room else 0
    return bounded


def _reduced(action: pb.Action) -> pb.Action:
    reduced = pb.Action(
        name=action.name,
        action_type=action.action_type,
        description=action.description,
        risk=action.risk,
        guide_entry=action.guide_entry,
        replaces=action.replaces,
        exception=action.exception,
        state_reason=f"the actions of a session have {MOST_BYTES} bytes at most",
    )
    reduced.digest = _digest(reduced, None)
    return reduced


def _connect(action: pb.Action, connector: connector_pb2.Connector, exception: Exception_) -> None:
    """Makes it one that the connector carries out; where that can't be, people do it."""
    try:
        values = values_of(plain(action.parameters), exception, action.name)
        rendered = render(connector.http, values)
    except RenderFailed as error:
        why = f"its request can't be made: {error.field} {error.what}"
        _leave(action, _UNKNOWN, why)
        return
    action.automated = True
    action.connector, action.connector_revision = connector.name, connector.revision
    action.request.CopyFrom(rendered.request)
    action.target_system = rendered.target_system
    action.target_entities[:] = rendered.target_entities or action.target_entities
    call = f"{rendered.request.method} {rendered.request.url}"
    action.steps.add(order=1, description=action.description or "Send the request", api_call=call)


def _leave(action: pb.Action, known: ActionType, reason: str) -> None:
    """Makes it one that nothing is sent for."""
    action.automated = known.automated and not reason
    action.state_reason = reason
    for order, description in enumerate(known.steps, start=1):
        action.steps.add(order=order, description=description)


def _reason(action_type: str, exception: Exception_) -> str:
    """Why an action without a connector isn't what its type says."""
    if action_type not in ACTION_TYPES:
        return f"no connector carries out {action_type}"
    if action_type == RETRY_RUN and not (exception and is_waited_for(exception.extra)):
        return "nobody waits for the run"
    return ""


def _columns(action: pb.Action) -> dict[str, Any]:
    return {
        "id": _id(action.name),
        "exception": _id(action.exception),
        "action_type": action.action_type,
        "automated": action.automated,
        "risk": action.risk,
        "state_reason": action.state_reason,
        "connector": _id(action.connector),
        "connector_revision": action.connector_revision,
        "guide_entry": "/".join(action.guide_entry.split("/")[4:]),
        "replaces": _id(action.replaces),
        "digest": action.digest,
        "content": content_of(action),
    }


def _id(name: str) -> str:
    return name.rpartition("/")[2]
