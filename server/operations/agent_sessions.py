"""What can be done to agent sessions: start one, have it propose, cancel it.

What becomes of its actions is in `approval.py`; what workers make of a session, in `sessions/`.
"""

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from kintsugi.v1 import agent_session_pb2 as pb
from kintsugi.v1 import agent_session_service_pb2 as service
from kintsugi.v1 import exception_pb2

from server.domain import action_state, agent_session_state
from server.domain.agent_session_rules import CHAT, CHAT_SECONDS, DEFAULT_AGENT, violations
from server.domain.call import current_call, remaining_seconds
from server.domain.errors import (
    AlreadyExists,
    DeadlinePassed,
    IllegalTransition,
    InvalidFields,
    NotFound,
    Overloaded,
)
from server.domain.ids import new_id
from server.domain.names import AgentSessionName, ExceptionName, RunName, WorkspaceName
from server.operations.opened_session import AgentSessions, OpenedSession, check_pending
from server.operations.session_thread import about_session, tell
from server.resources.agent_session import AGENT_SESSION
from server.store.agent_sessions import ACTIVE, ACTIVE_INDEX, create_statement
from server.store.changes import change_parameters, once
from server.store.errors import Duplicate
from server.store.topics import SESSIONS

_CREATE = create_statement(AGENT_SESSION.columns)

_SHORTEST_PAUSE, _LONGEST_PAUSE = 0.005, 0.25
"""Seconds between two looks at a session that is being analysed."""


def create(sessions: AgentSessions, request: service.CreateAgentSessionRequest) -> pb.AgentSession:
    """Starts a session about a pending exception, or about a signal; or a chat."""
    parent = WorkspaceName.parse(request.parent)
    found = violations(parent, request.agent_session)
    _check(found)
    store = sessions.store
    workspace = store.workspace_key(parent)

    def work() -> pb.AgentSession:
        exception = _exception(sessions, request.agent_session)
        row = _row(sessions, workspace, request.agent_session, exception)
        recording = change_parameters(request, f"{parent}/agentSessions")
        with store.database.transaction() as transaction:
            [created] = transaction.all(_CREATE, row | recording)
            session = AGENT_SESSION.read(pb.AgentSession, str(parent), created)
            if exception is not None and session.kind != CHAT:
                name = ExceptionName.parse(exception.name)
                check_pending(sessions.exceptions.locked(transaction, name))
            topics = tell(transaction, workspace, session, about_session(session))
        store.notifier.announce(SESSIONS, *topics)
        return session

    def repeat(names: Sequence[str]) -> pb.AgentSession:
        return sessions.get(AgentSessionName.parse(names[0]))

    try:
        return once(store, workspace, request, work, repeat)
    except Duplicate as error:
        if error.index != ACTIVE_INDEX:
            raise
        raise _active(sessions, workspace, parent, request.agent_session.exception) from error


def cancel(sessions: AgentSessions, request: service.CancelAgentSessionRequest) -> pb.AgentSession:
    """Any that isn't final → CANCELLED, with what isn't begun; what is begun ends as it ends."""
    name = AgentSessionName.parse(request.name)
    error = f"{current_call().principal} cancelled it"
    error += f": {request.reason}" if request.reason else ""

    def work() -> pb.AgentSession:
        with sessions.opened(name, request, request.etag) as opened:
            opened.check_not_expired()
            opened.move(agent_session_state.CANCELLED, error)
            for action in opened.actions_in(action_state.PROPOSED, action_state.APPROVED):
                opened.move_action(action, action_state.CANCELLED, "its session was cancelled")
            return opened.answer()

    workspace = sessions.store.workspace_key(name.parent)
    return once(sessions.store, workspace, request, work, lambda _: sessions.get(name))


class Proposals:
    """Calls that wait until a session has proposed something: at most `limit` in this process, so
    that they leave threads to others."""

    def __init__(self, sessions: AgentSessions, limit: int) -> None:
        self._sessions = sessions
        self._limit = limit
        self._places = threading.BoundedSemaphore(limit)

    def propose(self, request: service.ProposeActionsRequest) -> pb.AgentSession:
        """Has a session analyse that has been waiting to be asked; answers when it has.

        Raises IllegalTransition, DeadlinePassed, Overloaded.
        """
        name = AgentSessionName.parse(request.name)
        sessions = self._sessions

        def work() -> None:
            with sessions.opened(name, request) as opened:
                _ask(opened)

        with self._place():
            workspace = sessions.store.workspace_key(name.parent)
            once(sessions.store, workspace, request, work, lambda _: None)
            self._wait(name)
        return sessions.get(name)

    @contextmanager
    def _place(self) -> Iterator[None]:
        if not self._places.acquire(blocking=False):
            raise Overloaded("calls that wait for proposals", self._limit)
        try:
            yield
        finally:
            self._places.release()

    def _wait(self, name: AgentSessionName) -> None:
        pause = _SHORTEST_PAUSE
        while not _is_analysed(self._sessions.sessions.get(name)):
            if remaining_seconds() <= pause:
                raise DeadlinePassed
            time.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)


def _ask(opened: OpenedSession) -> None:
    opened.check_not_expired()
    state = opened.session.state
    if state == agent_session_state.EXECUTING or state in agent_session_state.FINAL:
        what = f"the agent session is {agent_session_state.label(state)}, and proposes nothing"
        raise IllegalTransition(what).about(opened.name)
    if state == agent_session_state.STARTED and opened.session.HasField("expire_time"):
        opened.put_to_work()
        opened.change(lambda session: session.ClearField("expire_time"))
    else:
        opened.change()


def _is_analysed(session: pb.AgentSession) -> bool:
    return session.state not in (agent_session_state.STARTED, agent_session_state.ANALYZING)


def _exception(sessions: AgentSessions, given: pb.AgentSession) -> exception_pb2.Exception | None:
    """What a session is to be about, PENDING unless it is a chat; None if it is no exception."""
    if not given.exception:
        return None
    try:
        exception = sessions.exceptions.get(ExceptionName.parse(given.exception))
    except NotFound as error:
        _check([("exception", error.message)])
        raise
    if given.kind != CHAT:
        check_pending(exception)
    return exception


def _row(
    sessions: AgentSessions,
    workspace: str,
    given: pb.AgentSession,
    exception: exception_pb2.Exception | None,
) -> dict[str, Any]:
    run = RunName.parse(exception.run) if exception else None
    return {
        "workspace": workspace,
        "id": new_id(),
        **(_chat(given) if given.kind == CHAT else _investigation(sessions, given)),
        "exception": given.exception.rpartition("/")[2],
        "automation": run.automation if run else "",
        "run": run.run if run else "",
        "signal": given.signal.SerializeToString(deterministic=True),
        "agent": given.agent or DEFAULT_AGENT,
        "creator": current_call().principal,
    }


def _investigation(sessions: AgentSessions, given: pb.AgentSession) -> dict[str, Any]:
    waits = given.start == pb.AgentSession.START_ON_PROPOSE
    return {
        "start": given.start or pb.AgentSession.START_AUTO,
        "patience": sessions.approval_seconds if waits else None,
    }


def _chat(given: pb.AgentSession) -> dict[str, Any]:
    return {
        "kind": CHAT,
        "state": agent_session_state.ACTIVE,
        "title": given.title,
        "context": given.context.SerializeToString(deterministic=True),
        "start": pb.AgentSession.START_UNSPECIFIED,
        "patience": CHAT_SECONDS,
    }


def _active(
    sessions: AgentSessions, workspace: str, parent: WorkspaceName, exception: str
) -> AlreadyExists:
    """The session that the exception has, unless it has become final in the meantime."""
    key = {"workspace": workspace, "exception": exception.rpartition("/")[2]}
    row = sessions.store.database.one(ACTIVE, key)
    name = AgentSessionName(parent.organization, parent.workspace, row[0]) if row else None
    what = f"the exception has an agent session that isn't final: {name or 'try again'}"
    return AlreadyExists(name or exception, what)


def _check(found: Sequence[tuple[str, str]]) -> None:
    if found:
        raise InvalidFields([(f"agent_session.{field}", what) for field, what in found])
