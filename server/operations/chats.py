"""What people do with a chat: ask something, end it. What is answered is in `session_chat.py`.

Starting one is in `agent_sessions.py`.
"""

from collections.abc import Mapping
from typing import Any

from kintsugi.v1 import agent_session_pb2 as pb
from kintsugi.v1 import agent_session_service_pb2 as service
from kintsugi.v1 import event_pb2, event_service_pb2
from kintsugi.v1.workspace_pb2 import Workspace

from server.domain import agent_session_state
from server.domain.agent_session_rules import CHAT, CHAT_SECONDS
from server.domain.call import current_call
from server.domain.errors import FeatureNotEnabled, IllegalTransition
from server.domain.names import AgentSessionName, WorkspaceName
from server.domain.timestamps import set_timestamp
from server.operations.agent_starts import AgentStarts
from server.operations.opened_session import AgentSessions, OpenedSession
from server.resources.collection import Collection
from server.resources.event import EVENT
from server.resources.workspace import WORKSPACE
from server.store.changes import FURTHER, change_parameters, once
from server.store.events import CREATE, local_name
from server.store.topics import thread_topic

_FEATURE = "agent_ai"


class Chats:
    """The chats of a store, in which each message starts an agent's work."""

    def __init__(self, sessions: AgentSessions, agent_starts: AgentStarts) -> None:
        self._sessions = sessions
        self._agent_starts = agent_starts
        self._workspaces: Collection[Workspace, WorkspaceName] = Collection(
            sessions.store, WORKSPACE
        )

    def has(self, name: AgentSessionName) -> bool:
        """Whether a session is one. Raises NotFound, IllegalTransition where its thread is that
        of its run: nobody would read here."""
        session = self._sessions.sessions.get(name)
        if session.thread != str(name):
            raise IllegalTransition(f"the agent session's thread is {session.thread}").about(name)
        return session.kind == CHAT

    def ask(
        self,
        name: AgentSessionName,
        request: event_service_pb2.CreateEventRequest,
        event: Mapping[str, Any],
    ) -> event_pb2.Event:
        """Says in a chat what an agent is to answer, and counts that once it may be asked.

        Raises IllegalTransition, FeatureNotEnabled, AgentStartsExhausted.
        """
        with self._sessions.looked_at(name, kind=CHAT) as seen:
            _check_goes_on(seen)
        if _FEATURE not in self._workspaces.get(name.parent).features:
            raise FeatureNotEnabled(name.parent, _FEATURE)
        with (
            self._agent_starts.counted(current_call()),
            self._sessions.opened(name, request, kind=CHAT) as opened,
        ):
            _check_goes_on(opened)
            opened.put_to_work()
            opened.change(lambda session: _extend(session, opened.now))
            recording = change_parameters(FURTHER, f"{name}/events")
            [row] = opened.transaction.all(CREATE, {**event, **recording})
            opened.topics.add(thread_topic(opened.workspace, local_name(name)))
        return EVENT.read(event_pb2.Event, str(name), row)


def end(sessions: AgentSessions, request: service.EndAgentSessionRequest) -> pb.AgentSession:
    """ACTIVE → ENDED, with what came of it."""
    name = AgentSessionName.parse(request.name)

    def fill(session: pb.AgentSession) -> None:
        session.summary = request.summary

    def work() -> pb.AgentSession:
        with sessions.opened(name, request, request.etag, kind=CHAT) as opened:
            opened.move(agent_session_state.ENDED, fill=fill)
            return opened.answer()

    workspace = sessions.store.workspace_key(name.parent)
    return once(sessions.store, workspace, request, work, lambda _: sessions.get(name))


def _check_goes_on(opened: OpenedSession) -> None:
    opened.check_not_expired()
    if opened.session.state != agent_session_state.ACTIVE:
        state = agent_session_state.label(opened.session.state)
        raise IllegalTransition(f"the chat is {state}, and answers nothing").about(opened.name)


def _extend(session: pb.AgentSession, now: int) -> None:
    set_timestamp(session.expire_time, now + CHAT_SECONDS * 1_000_000)
