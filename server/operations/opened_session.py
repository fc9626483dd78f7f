"""One transaction of a person on an agent session, which is locked meanwhile.

What may be done in it is in `agent_sessions.py`, `approval.py` and `actions.py`.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import Any, TypeAlias

from kintsugi.v1 import action_pb2, exception_pb2
from kintsugi.v1 import agent_session_pb2 as pb

from server.domain import action_state, agent_session_state
from server.domain.agent_session_rules import CHAT, INVESTIGATION
from server.domain.errors import IllegalTransition, NotFound
from server.domain.names import ActionName, AgentSessionName
from server.operations.locked_session import LockedSession, Sessions, as_it_is
from server.resources.action import ACTION
from server.resources.agent_session import leave_out
from server.store.actions import of_session_statement
from server.store.agent_sessions import LET_GO, NOW, TO_WORK
from server.store.changes import FURTHER, MutationRequest
from server.store.topics import SESSIONS

_ACTIONS = of_session_statement(ACTION.columns, locked=False)
_PENDING = exception_pb2.EXCEPTION_STATE_PENDING

_EXPIRING = (
    agent_session_state.STARTED,
    agent_session_state.AWAITING,
    agent_session_state.ACTIVE,
)
_OF_ANOTHER_KIND = {
    INVESTIGATION: "the agent session is a chat: it only answers, and EndAgentSession ends it",
    CHAT: "the agent session is no chat",
}
"""By the kind that is asked for."""

Kind: TypeAlias = "pb.AgentSession.Kind.ValueType"


class AgentSessions(Sessions):
    """The sessions of a store, as people open them."""

    def get(self, name: AgentSessionName) -> pb.AgentSession:
        """One with its actions, as they were at one moment. Raises NotFound."""
        key = {"workspace": self.store.workspace_key(name.parent), "session": name.id}
        with self.store.database.snapshot() as transaction:
            session = self.sessions.get(name, transaction)
            for row in transaction.all(_ACTIONS, key):
                ACTION.read(session.actions.add, str(name), row)
        leave_out(session)
        return session

    @contextmanager
    def opened(
        self,
        name: AgentSessionName,
        request: MutationRequest,
        etag: str = "",
        *,
        kind: Kind = INVESTIGATION,
    ) -> Iterator["OpenedSession"]:
        """A transaction on one, after which its thread and the workers know of it.

        Raises NotFound, EtagMismatch, IllegalTransition for one of another kind.
        """
        with self.store.database.transaction() as transaction:
            opened = OpenedSession(self, transaction, name, request, etag)
            opened.check_kind(kind)
            yield opened
            opened.say_now()
        self.store.notifier.announce(SESSIONS, *opened.topics)

    @contextmanager
    def looked_at(
        self, name: AgentSessionName, etag: str = "", *, kind: Kind = INVESTIGATION
    ) -> Iterator["OpenedSession"]:
        """A transaction on one that changes nothing, so that nobody has to know of it.

        Raises as `opened` does.
        """
        with self.store.database.transaction() as transaction:
            opened = OpenedSession(self, transaction, name, FURTHER, etag)
            opened.check_kind(kind)
            yield opened


class OpenedSession(LockedSession):
    """A session that a person has opened."""

    @cached_property
    def now(self) -> int:
        [[now]] = self.transaction.all(NOW, {})
        return int(now)

    @property
    def has_expired(self) -> bool:
        """Whether its time is over, be it that no worker has come by since."""
        return (
            self.session.state in _EXPIRING
            and self.session.HasField("expire_time")
            and self.session.expire_time.ToMicroseconds() <= self.now
        )

    def action(self, name: ActionName) -> action_pb2.Action:
        """One of its actions. Raises NotFound."""
        found = self.actions.get(str(name))
        if found is None:
            raise NotFound(name)
        return found

    def check_kind(self, kind: Kind) -> None:
        """Raises IllegalTransition."""
        if self.session.kind != kind:
            raise IllegalTransition(_OF_ANOTHER_KIND[kind]).about(self.name)

    def check_not_expired(self) -> None:
        """Raises IllegalTransition."""
        if self.has_expired:
            at = self.session.expire_time.ToJsonString()
            raise IllegalTransition(f"the agent session has expired at {at}").about(self.name)

    def check_waits(self) -> exception_pb2.Exception | None:
        """That it waits for a person; answers its exception, locked. Raises IllegalTransition."""
        self.check_not_expired()
        session = self.session
        if session.state != agent_session_state.AWAITING:
            state = agent_session_state.label(session.state)
            why = f" ({session.error})" if session.error else ""
            what = f"the agent session is {state}{why}, and not AWAITING_CONFIRMATION"
            raise IllegalTransition(what).about(self.name)
        exception = self.exception()
        if exception is not None:
            check_pending(exception)
        return exception

    def move(
        self,
        target: agent_session_state.State,
        error: str = "",
        fill: Callable[[pb.AgentSession], None] = as_it_is,
    ) -> None:
        """Brings it to a state in which nobody is waited for. Raises IllegalTransition."""
        if target in agent_session_state.FINAL:
            is_busy = bool(self.actions_in(action_state.EXECUTING))
            self.transaction.one(LET_GO, self._key | {"is_busy": is_busy})
        self.bring(target, error, fill=fill)

    def put_to_work(self, note: str | None = None) -> None:
        """Has a worker look at it once this is committed; without a note it keeps its own."""
        self.transaction.one(TO_WORK, self._key | {"note": note})

    def answer(self) -> pb.AgentSession:
        """The session with its actions, as they will be when this is committed."""
        self.session.actions.extend(self.actions.values())
        leave_out(self.session)
        return self.session

    @property
    def _key(self) -> dict[str, Any]:
        return {"workspace": self.workspace, "id": self.name.id}


def check_pending(exception: exception_pb2.Exception) -> None:
    """Raises IllegalTransition."""
    if exception.state != _PENDING:
        state = exception_pb2.ExceptionState.Name(exception.state)
        what = f"the exception is {state.removeprefix('EXCEPTION_STATE_')}, and not PENDING"
        raise IllegalTransition(what).about(exception.name)
