"""What can be done to one action: ask for it, take a `retry_run`, tell how that ended.

Approving is in `approval.py`; what workers execute, in `sessions/`.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from kintsugi.v1 import action_pb2 as pb
from kintsugi.v1 import action_service_pb2 as service
from kintsugi.v1 import event_pb2, exception_pb2

from server.domain import action_state, agent_session_state
from server.domain.action_types import RETRY_RUN
from server.domain.errors import IllegalTransition, InvalidFields
from server.domain.json_values import plain
from server.domain.names import ActionName, AgentSessionName
from server.domain.timestamps import set_timestamp
from server.operations.opened_session import AgentSessions, OpenedSession
from server.operations.proposals import (
    MOST_BYTES,
    Proposed,
    action_of,
    connectors_for,
    is_known,
    size_of,
)
from server.store import attempts
from server.store.actions import CLAIM, CLAIMED_BY
from server.store.agent_sessions import DUE_WITH_CLAIM
from server.store.changes import FURTHER, once

_MOST = 100
"""The most actions of a session, as an answer has all of them."""

_STEP_ENDS = {
    action_state.SUCCEEDED: pb.Action.Step.STATE_SUCCEEDED,
    action_state.FAILED: pb.Action.Step.STATE_FAILED,
}


def create(sessions: AgentSessions, request: service.CreateActionRequest) -> pb.Action:
    """Proposes what a person asks for, in a session that waits."""
    name = AgentSessionName.parse(request.parent)
    asked = request.action
    proposed = Proposed(asked.action_type, plain(asked.parameters), asked.description)

    def work() -> pb.Action:
        with sessions.opened(name, request) as opened:
            exception = opened.check_waits()
            _check(opened, exception, proposed)
            opened.change(is_touched=True)
            [action] = opened.propose(exception, [proposed])
            return action

    def repeat(names: Sequence[str]) -> pb.Action:
        return sessions.actions.get(ActionName.parse(names[-1]))

    return once(sessions.store, sessions.store.workspace_key(name.parent), request, work, repeat)


def claim(sessions: AgentSessions, request: service.ClaimActionRequest) -> pb.Action:
    """Takes a `retry_run`, or keeps it, for a minute from now."""
    name = ActionName.parse(request.name)
    with sessions.opened(name.parent, FURTHER) as opened:
        action = opened.action(name)
        _check_claimable(opened, action)
        key = _key(opened, name)
        holder = _check_holder(opened, action, key, ("", request.claim_id))
        opened.transaction.one(CLAIM, key | {"claim_id": request.claim_id})
        opened.transaction.one(DUE_WITH_CLAIM, key)
        if not holder:
            opened.say(_called(action))
        return action


def report(sessions: AgentSessions, request: service.ReportActionRequest) -> pb.Action:
    """EXECUTING → SUCCEEDED or FAILED, by who holds the claim; the same again changes nothing."""
    name = ActionName.parse(request.name)
    target = action_state.FAILED if request.exit_code else action_state.SUCCEEDED
    with sessions.opened(name.parent, FURTHER) as opened:
        action = opened.action(name)
        is_told = action.action_type == RETRY_RUN and action.state == target
        _check_holder(opened, action, _key(opened, name), (request.claim_id,), is_told=is_told)
        return action if is_told else _end(opened, action, target, request)


def _check(
    opened: OpenedSession, exception: exception_pb2.Exception | None, proposed: Proposed
) -> None:
    """That it is of a type that there is, and fits. Raises InvalidFields, IllegalTransition."""
    if len(opened.actions) >= _MOST:
        what = f"the agent session has {len(opened.actions)} actions, which is the most"
        raise IllegalTransition(what).about(opened.name)
    type = proposed.action_type
    connectors = connectors_for(opened.transaction, opened.workspace, opened.name.parent, [type])
    if not is_known(type, connectors):
        what = f"there is no action type {type!r}, and no connector for it"
        raise InvalidFields([("action.action_type", what)])
    action = action_of(opened.session, exception, connectors, proposed)
    if type in connectors and not action.automated:
        raise InvalidFields([("action.parameters", action.state_reason)])
    if size_of([*opened.actions.values(), action]) > MOST_BYTES:
        what = f"the actions of the agent session would have more than {MOST_BYTES} bytes"
        raise IllegalTransition(what).about(opened.name)


def _check_claimable(opened: OpenedSession, action: pb.Action) -> None:
    if action.action_type != RETRY_RUN:
        raise _refused(action, f"is no {RETRY_RUN}")
    if action.state != action_state.EXECUTING:
        raise _refused(action, f"is {action_state.label(action.state)}, and not EXECUTING")
    state = opened.session.state
    if state != agent_session_state.EXECUTING:
        label = agent_session_state.label(state)
        raise _refused(action, f"isn't to be run: its session is {label}")


def _check_holder(
    opened: OpenedSession,
    action: pb.Action,
    key: Mapping[str, Any],
    holders: Sequence[str],
    *,
    is_told: bool = False,
) -> str:
    """Who holds it, empty before anybody does. Raises IllegalTransition unless it is one of these,
    and, unless its end `is_told` already, still does."""
    [(holder, is_over)] = opened.transaction.all(CLAIMED_BY, key)
    if holder not in holders:
        raise _refused(action, "is another's" if holder else "was claimed by nobody")
    if is_over and not is_told:
        raise _refused(action, "is nobody's any more: it wasn't kept within its time")
    if holder and not is_told and action.state != action_state.EXECUTING:
        raise _refused(action, f"is {action_state.label(action.state)}, and not EXECUTING")
    return str(holder)


def _end(
    opened: OpenedSession,
    action: pb.Action,
    target: action_state.State,
    request: service.ReportActionRequest,
) -> pb.Action:
    began, now = action.update_time.ToMicroseconds(), opened.now

    def fill(ended: pb.Action) -> None:
        ended.result.success = target == action_state.SUCCEEDED
        ended.result.response["exit_code"] = request.exit_code
        ended.result.error = request.error or _error(request.exit_code)
        set_timestamp(ended.result.execute_time, began)
        ended.result.duration.FromMicroseconds(now - began)
        for step in ended.steps:
            step.state = _STEP_ENDS[target]

    told = f"exit code {request.exit_code}"
    result = event_pb2.ToolCallResult(tool_call_id=action.name.rpartition("/")[2], result=told)
    opened.say(event_pb2.Event(tool_call_result=result))
    opened.put_to_work()
    outcome = "succeeded" if target == action_state.SUCCEEDED else "failed"
    attempts.end(opened.transaction, opened.key_of(action), outcome)
    return opened.move_action(action, target, fill=fill)


def _called(action: pb.Action) -> event_pb2.Event:
    id = action.name.rpartition("/")[2]
    request = event_pb2.ToolCallRequest(
        tool_call_id=id, display_name=action.action_type, input=action.description
    )
    return event_pb2.Event(tool_call_request=request)


def _error(exit_code: int) -> str:
    return f"the command ended with exit code {exit_code}" if exit_code else ""


def _key(opened: OpenedSession, name: ActionName) -> dict[str, Any]:
    return {"workspace": opened.workspace, "session": opened.name.id, "id": name.id}


def _refused(action: pb.Action, why: str) -> IllegalTransition:
    return IllegalTransition(f"{action.name} {why}").about(action.name)
