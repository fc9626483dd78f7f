"""One transaction of a person on an agent session, which is locked meanwhile.

What may be done in it is in `agent_sessions.py`, `approval.py` and `actions.py`.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from kintsugi.v1 import action_pb2, event_pb2, exception_pb2
from kintsugi.v1 import agent_session_pb2 as pb

from server.domain import action_state, agent_session_state
from server.domain.errors import IllegalTransition, NotFound
from server.domain.names import ActionName, AgentSessionName, ExceptionName
from server.operations.proposals import Proposed, propose
from server.operations.session_thread import about_action, about_session, tell
from server.resources.action import ACTION
from server.resources.agent_session import AGENT_SESSION, leave_out
from server.resources.collection import Collection
from server.resources.exception import EXCEPTION
from server.resources.timestamps import set_timestamp
from server.store.actions import of_session_statement
from server.store.agent_sessions import LET_GO, NOW, TO_WORK
from server.store.changes import FURTHER, MutationRequest
from server.store.connection import Transaction
from server.store.store import Store
from server.store.topics import SESSIONS, workspace_topic

_ACTIONS = of_session_statement(ACTION.columns, locked=False)
_ACTIONS_LOCKED = of_session_statement(ACTION.columns, locked=True)
_PENDING = exception_pb2.EXCEPTION_STATE_PENDING

_EXPIRING = (agent_session_state.STARTED, agent_session_state.AWAITING)

Apply = Callable[[pb.AgentSession], None]


def as_it_is(_session: pb.AgentSession) -> None:
    """Changes nothing."""


class AgentSessions:
    """The sessions of a store, with their actions and what they are about."""

    def __init__(self, store: Store, approval_seconds: float) -> None:
        """`approval_seconds` is how long a session waits for a person."""
        self.store = store
        self.approval_seconds = approval_seconds
        self.sessions: Collection[pb.AgentSession, AgentSessionName] = Collection(
            store, AGENT_SESSION
        )
        self.actions: Collection[action_pb2.Action, ActionName] = Collection(store, ACTION)
        self.exceptions: Collection[exception_pb2.Exception, ExceptionName] = Collection(
            store, EXCEPTION
        )

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
        self, name: AgentSessionName, request: MutationRequest, etag: str = ""
    ) -> Iterator["OpenedSession"]:
        """A transaction on one, after which its thread and the workers know of it.

        Raises NotFound, EtagMismatch.
        """
        workspace = self.store.workspace_key(name.parent)
        with self.store.database.transaction() as transaction:
            opened = OpenedSession(self, transaction, name, request, etag)
            yield opened
            topics = tell(transaction, workspace, opened.session, opened.said)
        self.store.notifier.announce(SESSIONS, workspace_topic(workspace), *topics)

    @contextmanager
    def looked_at(self, name: AgentSessionName, etag: str) -> Iterator["OpenedSession"]:
        """A transaction on one that changes nothing, so that nobody has to know of it.

        Raises NotFound, EtagMismatch.
        """
        with self.store.database.transaction() as transaction:
            yield OpenedSession(self, transaction, name, FURTHER, etag)


class OpenedSession:
    """A session and its actions, locked. Its exception is locked after them, threads last."""

    def __init__(
        self,
        sessions: AgentSessions,
        transaction: Transaction,
        name: AgentSessionName,
        request: MutationRequest,
        etag: str,
    ) -> None:
        self._all = sessions
        self._request = request
        self.transaction = transaction
        self.name = name
        self.workspace = sessions.store.workspace_key(name.parent)
        self.session = sessions.sessions.locked(transaction, name, etag)
        key = {"workspace": self.workspace, "session": name.id}
        self.actions = {
            action.name: action
            for row in transaction.all(_ACTIONS_LOCKED, key)
            for action in [ACTION.read(action_pb2.Action, str(name), row)]
        }
        self.said: list[event_pb2.Event] = []

    @property
    def now(self) -> int:
        """The database's time, in microseconds since 1970."""
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

    def exception(self) -> exception_pb2.Exception | None:
        """What it is about, locked; None if that is a signal."""
        if not self.session.exception:
            return None
        name = ExceptionName.parse(self.session.exception)
        return self._all.exceptions.locked(self.transaction, name)

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

    def change(self, apply: Apply = as_it_is, *, is_touched: bool = False) -> None:
        """Changes the session itself, once in a transaction: that carries the request's id.

        It `is_touched` by a change of its actions: its etag is another one then.
        """
        before = self.session
        self.session = self._all.sessions.replace(
            self.transaction, self.name, self._request, before, apply, is_touched=is_touched
        )
        if self.session.state != before.state:
            self.said += about_session(self.session)

    def move(self, target: agent_session_state.State, error: str = "") -> None:
        """Brings it to a state in which nobody is waited for. Raises IllegalTransition."""

        def apply(session: pb.AgentSession) -> None:
            session.state = agent_session_state.move(session.state, target)
            session.error = error
            session.ClearField("expire_time")
            if target in agent_session_state.FINAL:
                set_timestamp(session.end_time, self.now)

        if target in agent_session_state.FINAL:
            self._let_go()
        self.change(apply)

    def put_to_work(self, note: str | None = None) -> None:
        """Has a worker look at it once this is committed; without a note it keeps its own."""
        self.transaction.one(TO_WORK, self._key | {"note": note})

    def change_action(
        self, action: action_pb2.Action, apply: Callable[[action_pb2.Action], None]
    ) -> action_pb2.Action:
        """Changes one of the actions, as a further change of the request, and tells its state."""
        changed = self._all.actions.replace(
            self.transaction, ActionName.parse(action.name), FURTHER, action, apply
        )
        self.actions[action.name] = changed
        if changed.state != action.state:
            self.said.append(about_action(changed))
        return changed

    def propose(
        self, exception: exception_pb2.Exception | None, proposed: Sequence[Proposed]
    ) -> list[action_pb2.Action]:
        """Adds actions to those that there are, and tells of them."""
        there = list(self.actions.values())
        added = propose(
            self.transaction, self.workspace, self.session, exception, proposed, there=there
        )
        self.actions |= {action.name: action for action in added}
        self.said += [about_action(action) for action in added]
        return added

    def answer(self) -> pb.AgentSession:
        """The session with its actions, as they will be when this is committed."""
        self.session.actions.extend(self.actions.values())
        leave_out(self.session)
        return self.session

    def _let_go(self) -> None:
        busy = any(each.state == action_state.EXECUTING for each in self.actions.values())
        self.transaction.one(LET_GO, self._key | {"is_busy": busy})

    @property
    def _key(self) -> dict[str, Any]:
        return {"workspace": self.workspace, "id": self.name.id}


def check_pending(exception: exception_pb2.Exception) -> None:
    """Raises IllegalTransition."""
    if exception.state != _PENDING:
        state = exception_pb2.ExceptionState.Name(exception.state)
        what = f"the exception is {state.removeprefix('EXCEPTION_STATE_')}, and not PENDING"
        raise IllegalTransition(what).about(exception.name)
