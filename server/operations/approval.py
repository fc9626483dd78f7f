"""What people say to the actions of an agent session: yes, to exactly what was shown, or no.

All or none, and once: whoever comes second is told what has become of the action.
"""

from collections.abc import Sequence

from kintsugi.v1 import action_pb2, exception_pb2
from kintsugi.v1 import agent_session_pb2 as pb
from kintsugi.v1 import agent_session_service_pb2 as service

from server.domain import action_state, agent_session_state
from server.domain.call import current_call
from server.domain.errors import IllegalTransition, InvalidFields, Violation
from server.domain.names import ActionName, AgentSessionName
from server.failpoints import AFTER_COMMIT_BEFORE_REPLY, failpoint
from server.operations.opened_session import AgentSessions, OpenedSession
from server.operations.proposals import again, connectors_for, why_changed
from server.store.changes import FURTHER, once

Action = action_pb2.Action


def execute(sessions: AgentSessions, request: service.ExecuteActionsRequest) -> pb.AgentSession:
    """AWAITING_CONFIRMATION → EXECUTING, with the chosen actions PROPOSED → APPROVED.

    Where some are no longer what was shown, these are proposed anew, and the call is refused.
    """
    name = AgentSessionName.parse(request.name)
    if request.validate_only:
        with sessions.looked_at(name, request.etag) as opened:
            _executable(opened, request.actions)
        return sessions.get(name)

    def work() -> pb.AgentSession:
        with sessions.opened(name, request, request.etag) as opened:
            chosen = _executable(opened, request.actions)
            opened.put_to_work(request.note)
            _decide(opened, chosen, action_state.APPROVED)
            opened.move(agent_session_state.EXECUTING)
            answer = opened.answer()
        failpoint(AFTER_COMMIT_BEFORE_REPLY)
        return answer

    workspace = sessions.store.workspace_key(name.parent)
    try:
        return once(sessions.store, workspace, request, work, lambda _: sessions.get(name))
    except _Changed as refused:
        anew = _propose_anew(sessions, name)
        names = " ".join(action.name for action in anew)
        what = f"{refused.message}; proposed anew: {names}"
        raise IllegalTransition(what).about(refused.subject) from None


class _Changed(IllegalTransition):
    """An action is no longer what was shown."""


def _propose_anew(sessions: AgentSessions, name: AgentSessionName) -> list[Action]:
    """Replaces all that wait for approval and are no longer what was shown; answers the new ones.

    Raises IllegalTransition where it doesn't wait any more.
    """
    with sessions.opened(name, FURTHER) as opened:
        exception = opened.check_waits()
        changed = _changed(opened, opened.actions_in(action_state.PROPOSED), exception)
        for action, why in changed:
            opened.move_action(action, action_state.EXPIRED, why)
        opened.change(is_touched=True)
        return opened.propose(exception, [again(action) for action, _ in changed])


def reject(sessions: AgentSessions, request: service.RejectActionsRequest) -> pb.AgentSession:
    """The chosen actions PROPOSED → REJECTED; the session → COMPLETED if no other is PROPOSED."""
    name = AgentSessionName.parse(request.name)

    def work() -> pb.AgentSession:
        with sessions.opened(name, request, request.etag) as opened:
            chosen = _chosen(opened, request.actions)
            opened.check_waits()
            _decide(opened, chosen, action_state.REJECTED, request.reason)
            if opened.actions_in(action_state.PROPOSED):
                opened.change(is_touched=True)
            else:
                opened.move(agent_session_state.COMPLETED)
            return opened.answer()

    workspace = sessions.store.workspace_key(name.parent)
    return once(sessions.store, workspace, request, work, lambda _: sessions.get(name))


def _decide(
    opened: OpenedSession, chosen: Sequence[Action], target: action_state.State, reason: str = ""
) -> None:
    for action in chosen:
        opened.decide(action, target, current_call().principal, reason)


def _executable(opened: OpenedSession, given: Sequence[service.ChosenAction]) -> list[Action]:
    """The chosen actions, which can be executed. Raises InvalidFields, IllegalTransition."""
    chosen = _chosen(opened, given)
    for action in chosen:
        if not action.automated:
            why = f" ({action.state_reason})" if action.state_reason else ""
            raise _refused(action, f"is done by a person{why}")
    exception = opened.check_waits()
    for action, why in _changed(opened, chosen, exception):
        what = f"{action.name} is no longer what was shown: {why}"
        raise _Changed(what).about(action.name)
    return chosen


def _changed(
    opened: OpenedSession, actions: Sequence[Action], exception: exception_pb2.Exception | None
) -> list[tuple[Action, str]]:
    """Those that are no longer what was shown, each with why."""
    types = (action.action_type for action in actions)
    connectors = connectors_for(opened.transaction, opened.workspace, opened.name.parent, types)
    pairs = ((action, why_changed(action, exception, connectors)) for action in actions)
    return [(action, why) for action, why in pairs if why]


def _chosen(opened: OpenedSession, given: Sequence[service.ChosenAction]) -> list[Action]:
    """Those that are named, in the order in which they were proposed: PROPOSED all of them, and
    with the digests that are given. Raises InvalidFields, IllegalTransition."""
    _check_names(opened, given)
    digests = {each.action: each.digest for each in given}
    chosen = [action for name, action in opened.actions.items() if name in digests]
    for action in chosen:
        _check_proposed(action)
        if digests[action.name] not in ("", action.digest):
            raise _refused(action, f"has another digest than the one given: {action.digest}")
    return chosen


def _check_proposed(action: Action) -> None:
    if action.state != action_state.PROPOSED:
        state = action_state.label(action.state)
        by = f", by {action.approver}" if action.approver else ""
        why = f" ({action.state_reason})" if action.state_reason else ""
        raise _refused(action, f"is {state}{by}{why}, and not PROPOSED")


def _check_names(opened: OpenedSession, given: Sequence[service.ChosenAction]) -> None:
    found: list[Violation] = []
    seen: set[str] = set()
    for index, each in enumerate(given):
        what = _problem(opened, each.action, seen)
        seen.add(each.action)
        if what:
            found.append((f"actions[{index}].action", what))
    if found:
        raise InvalidFields(found)


def _problem(opened: OpenedSession, name: str, seen: set[str]) -> str:
    if ActionName.parse(name).parent != opened.name:
        return f"must be an action of {opened.name}"
    if name not in opened.actions:
        return f"{name} doesn't exist"
    return "is named twice" if name in seen else ""


def _refused(action: Action, why: str) -> IllegalTransition:
    return IllegalTransition(f"{action.name} {why}").about(action.name)
