"""One transaction of a worker on a session that it holds, and that is locked meanwhile.

Which transitions there are is said in `session_progress.py` and `session_execution.py`.
"""

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import Any

from kintsugi.v1 import action_pb2, event_pb2, exception_pb2
from kintsugi.v1 import agent_session_pb2 as pb

from server.domain import action_state, agent_session_state
from server.domain.call import Call, entered
from server.domain.names import ActionName, AgentSessionName, ExceptionName
from server.domain.policy import Decision
from server.operations.session_thread import about_action, about_session, tell
from server.resources.action import ACTION
from server.resources.agent_session import AGENT_SESSION
from server.resources.collection import Collection
from server.resources.exception import EXCEPTION
from server.resources.timestamps import set_timestamp
from server.store import attempts, leases
from server.store.actions import of_session_statement
from server.store.changes import FURTHER
from server.store.connection import Transaction
from server.store.leases import Due, Lease
from server.store.store import Store
from server.store.topics import workspace_topic

_METHODS = "worker"
_ACTIONS = of_session_statement(ACTION.columns, locked=True)

GOING_ON = Due(0, keeps=True)
"""The worker goes on with it right away."""

NEVER = Due(None)


class Superseded(Exception):
    """The session isn't any more in the state that the worker went on from."""


def _as_it_is(_: Any) -> None:
    pass


class Turn:
    """What a worker may read and change of its session within one transaction.

    Locks are taken in the order in which everybody takes them: the session, its actions, its
    exception, and the thread last, when all is done.
    """

    def __init__(self, desk: "Desk", transaction: Transaction, lease: Lease) -> None:
        """Raises LeaseLost."""
        self.desk = desk
        self.transaction = transaction
        self.lease = lease
        self.held = leases.fence(transaction, lease)
        self.session = desk.sessions.locked(transaction, lease.name)
        self.topics = {workspace_topic(lease.workspace)}
        self._said: list[event_pb2.Event] = []

    @property
    def is_final(self) -> bool:
        return self.session.state in agent_session_state.FINAL

    def check(self, state: agent_session_state.State) -> None:
        """Raises Superseded unless the session is in this state."""
        if self.session.state != state:
            raise Superseded

    @cached_property
    def _by_name(self) -> dict[str, action_pb2.Action]:
        key = {"workspace": self.lease.workspace, "session": self.lease.name.id}
        rows = self.transaction.all(_ACTIONS, key)
        read = [ACTION.read(action_pb2.Action, str(self.lease.name), row) for row in rows]
        return {action.name: action for action in read}

    @property
    def actions(self) -> list[action_pb2.Action]:
        """All of the session's, in the order in which they were proposed, as they are now."""
        return list(self._by_name.values())

    def actions_in(self, *states: action_state.State) -> list[action_pb2.Action]:
        return [action for action in self.actions if action.state in states]

    def lock_actions(self) -> None:
        """Before what is to be locked after them."""
        self._by_name  # noqa: B018

    def added(self, proposed: Iterable[action_pb2.Action]) -> None:
        """Takes in what was proposed, and says so."""
        for action in proposed:
            self._by_name[action.name] = action
            self.say(about_action(action))

    def exception(self) -> exception_pb2.Exception | None:
        """That of the session, locked; None if it is about a signal."""
        self.lock_actions()
        if not self.session.exception:
            return None
        name = ExceptionName.parse(self.session.exception)
        return self.desk.exceptions.locked(self.transaction, name)

    def say(self, *events: event_pb2.Event) -> None:
        """Says it in the thread when all is done."""
        self._said += events

    def say_now(self) -> None:
        """Says what there is, before something else is said; takes the lock of the thread."""
        said, self._said = self._said, []
        self.topics.update(tell(self.transaction, self.lease.workspace, self.session, said))

    def schedule(self, due: Due) -> None:
        leases.schedule(self.transaction, self.lease, due)

    def move(
        self,
        target: agent_session_state.State,
        due: Due,
        error: str = "",
        *,
        expires: bool = False,
        fill: Callable[[pb.AgentSession], None] = _as_it_is,
    ) -> None:
        """Brings the session to a state, and says so; it `expires` when it is due.

        Raises IllegalTransition.
        """

        def apply(session: pb.AgentSession) -> None:
            session.state = agent_session_state.move(session.state, target)
            session.error = error
            fill(session)
            session.ClearField("expire_time")
            if expires and due.seconds is not None:
                set_timestamp(session.expire_time, self.held.now + round(due.seconds * 1e6))
            if target in agent_session_state.FINAL:
                set_timestamp(session.end_time, self.held.now)

        self.schedule(due)
        self.session = self.desk.sessions.replace(
            self.transaction, self.lease.name, FURTHER, self.session, apply
        )
        self.say(*about_session(self.session))

    def move_action(
        self,
        action: action_pb2.Action,
        target: action_state.State,
        reason: str = "",
        fill: Callable[[action_pb2.Action], None] = _as_it_is,
    ) -> action_pb2.Action:
        """Brings an action to a state, and says so. Raises IllegalTransition."""

        def apply(changed: action_pb2.Action) -> None:
            changed.state = action_state.move(changed.state, target)
            changed.state_reason = reason
            fill(changed)

        moved = self.change_action(action, apply)
        self.say(about_action(moved))
        return moved

    def approve(self, action: action_pb2.Action, decision: Decision) -> None:
        """Approves an action by policy."""

        def fill(approved: action_pb2.Action) -> None:
            approved.approver = decision.policy
            set_timestamp(approved.approve_time, self.held.now)

        self.move_action(action, action_state.APPROVED, decision.reason, fill)

    def change_action(
        self, action: action_pb2.Action, apply: Callable[[action_pb2.Action], None]
    ) -> action_pb2.Action:
        name = ActionName.parse(action.name)
        changed = self.desk.actions.replace(self.transaction, name, FURTHER, action, apply)
        self._by_name[action.name] = changed
        return changed

    def change_exception(
        self,
        exception: exception_pb2.Exception,
        apply: Callable[[exception_pb2.Exception], None],
    ) -> exception_pb2.Exception:
        name = ExceptionName.parse(exception.name)
        return self.desk.exceptions.replace(self.transaction, name, FURTHER, exception, apply)

    def key_of(self, action: action_pb2.Action) -> dict[str, Any]:
        id = ActionName.parse(action.name).id
        return attempts.key_of(self.lease.workspace, self.lease.name.id, id)


class Desk:
    """Where a worker finds what it works on, and changes it, as long as it holds the lease."""

    def __init__(self, store: Store, longest_seconds: float, approval_seconds: float) -> None:
        """What people have to approve, and what a transaction may take: no longer than a lease, so
        that one of a worker that stands still doesn't keep others from its session."""
        self.store = store
        self.approval_seconds = approval_seconds
        self.sessions: Collection[pb.AgentSession, AgentSessionName] = Collection(
            store, AGENT_SESSION
        )
        self.actions: Collection[action_pb2.Action, ActionName] = Collection(store, ACTION)
        self.exceptions: Collection[exception_pb2.Exception, ExceptionName] = Collection(
            store, EXCEPTION
        )
        self._longest_seconds = longest_seconds

    @contextmanager
    def turn(self, lease: Lease, method: str) -> Iterator[Turn]:
        """A transaction, recorded as `method` of the session's agent. Raises LeaseLost."""
        deadline = time.monotonic() + self._longest_seconds
        with entered(Call(f"{_METHODS}/{method}", lease.agent, deadline)):
            with self.store.database.transaction() as transaction:
                turn = Turn(self, transaction, lease)
                yield turn
                turn.say_now()
            self.store.notifier.announce(*turn.topics)
