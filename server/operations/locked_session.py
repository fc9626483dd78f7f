"""A session that is locked within one transaction, with its actions and exception: what is done to
it, and what is then said in its thread.

Who does it, and what else they need, is in `opened_session.py` and `session_turn.py`.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any

from kintsugi.v1 import action_pb2, event_pb2, exception_pb2
from kintsugi.v1 import agent_session_pb2 as pb

from server.domain import action_state, agent_session_state
from server.domain.names import ActionName, AgentSessionName, ExceptionName
from server.domain.timestamps import set_timestamp
from server.operations.proposals import Proposed, propose
from server.operations.session_thread import about_action, about_session, tell
from server.resources.action import ACTION
from server.resources.agent_session import AGENT_SESSION
from server.resources.collection import Collection
from server.resources.exception import EXCEPTION
from server.store import attempts
from server.store.actions import of_session_statement
from server.store.changes import FURTHER, MutationRequest
from server.store.connection import Transaction
from server.store.store import Store
from server.store.topics import workspace_topic

_ACTIONS = of_session_statement(ACTION.columns, locked=True)


def as_it_is(_: Any) -> None:
    """Changes nothing."""


class Sessions:
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


class LockedSession(ABC):
    """A session, as it is now. Locks are taken in the order in which everybody takes them: the
    session, its actions, its exception, and the thread last, when all is done."""

    def __init__(
        self,
        sessions: Sessions,
        transaction: Transaction,
        name: AgentSessionName,
        request: MutationRequest,
        etag: str = "",
    ) -> None:
        """Raises NotFound, EtagMismatch."""
        self._all = sessions
        self._request = request
        self.transaction = transaction
        self.name = name
        self.workspace = sessions.store.workspace_key(name.parent)
        self.session = sessions.sessions.locked(transaction, name, etag)
        self.topics = {workspace_topic(self.workspace)}
        self._said: list[event_pb2.Event] = []

    @property
    @abstractmethod
    def now(self) -> int:
        """The database's time, in microseconds since 1970."""

    @cached_property
    def actions(self) -> dict[str, action_pb2.Action]:
        """All of them by name, in the order in which they were proposed, locked."""
        rows = self.transaction.all(
            _ACTIONS, {"workspace": self.workspace, "session": self.name.id}
        )
        read = [ACTION.read(action_pb2.Action, str(self.name), row) for row in rows]
        return {action.name: action for action in read}

    def actions_in(self, *states: action_state.State) -> list[action_pb2.Action]:
        return [action for action in self.actions.values() if action.state in states]

    def exception(self) -> exception_pb2.Exception | None:
        """What it is about, locked; None if that is no exception."""
        self.actions  # noqa: B018 - they are locked before it
        if not self.session.exception:
            return None
        name = ExceptionName.parse(self.session.exception)
        return self._all.exceptions.locked(self.transaction, name)

    def say(self, *events: event_pb2.Event) -> None:
        """Says it in the thread when all is done."""
        self._said += events

    def say_now(self) -> None:
        """Says what there is, before something else is said; takes the lock of the thread."""
        said, self._said = self._said, []
        self.topics.update(tell(self.transaction, self.workspace, self.session, said))

    def change(
        self, apply: Callable[[pb.AgentSession], None] = as_it_is, *, is_touched: bool = False
    ) -> None:
        """Changes the session itself, once for each request: that carries the request's id.

        It `is_touched` by a change of its actions: its etag is another one then.
        """
        before = self.session
        self.session = self._all.sessions.replace(
            self.transaction, self.name, self._request, before, apply, is_touched=is_touched
        )
        if self.session.state != before.state:
            self.say(*about_session(self.session))

    def bring(
        self,
        target: agent_session_state.State,
        error: str = "",
        *,
        expires_in: float | None = None,
        fill: Callable[[pb.AgentSession], None] = as_it_is,
    ) -> None:
        """Brings the session to a state, in which it expires after so many seconds, or not.

        Raises IllegalTransition.
        """

        def apply(session: pb.AgentSession) -> None:
            session.state = agent_session_state.move(session.state, target)
            session.error = error
            fill(session)
            session.ClearField("expire_time")
            if expires_in is not None:
                set_timestamp(session.expire_time, self.now + round(expires_in * 1e6))
            if target in agent_session_state.FINAL:
                set_timestamp(session.end_time, self.now)

        self.change(apply)

    def move_action(
        self,
        action: action_pb2.Action,
        target: action_state.State,
        reason: str = "",
        fill: Callable[[action_pb2.Action], None] = as_it_is,
    ) -> action_pb2.Action:
        """Brings an action to a state, and says so. Raises IllegalTransition."""

        def apply(changed: action_pb2.Action) -> None:
            changed.state = action_state.move(changed.state, target)
            changed.state_reason = reason
            fill(changed)

        name = ActionName.parse(action.name)
        moved = self._all.actions.replace(self.transaction, name, FURTHER, action, apply)
        self.actions[action.name] = moved
        self.say(about_action(moved))
        return moved

    def decide(
        self, action: action_pb2.Action, target: action_state.State, approver: str, reason: str
    ) -> None:
        """Has a person or a policy approve an action, or reject it."""

        def fill(decided: action_pb2.Action) -> None:
            decided.approver = approver
            set_timestamp(decided.approve_time, self.now)

        self.move_action(action, target, reason, fill)

    def propose(
        self, exception: exception_pb2.Exception | None, proposed: Sequence[Proposed]
    ) -> list[action_pb2.Action]:
        """Adds actions behind those that there are, and says so."""
        there = self.actions.values()
        added = propose(
            self.transaction, self.workspace, self.session, exception, proposed, there=there
        )
        self.actions.update({action.name: action for action in added})
        self.say(*map(about_action, added))
        return added

    def key_of(self, action: action_pb2.Action) -> dict[str, Any]:
        """What names an action's attempts."""
        return attempts.key_of(self.workspace, self.name.id, ActionName.parse(action.name).id)
