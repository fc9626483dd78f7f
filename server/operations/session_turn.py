"""One transaction of a worker on a session that it holds, and that is locked meanwhile.

Which transitions there are is said in `session_progress.py` and `session_execution.py`.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from kintsugi.v1 import agent_session_pb2 as pb
from kintsugi.v1 import exception_pb2

from server.domain import agent_session_state
from server.domain.call import Call, entered
from server.domain.names import ExceptionName
from server.operations.locked_session import LockedSession, Sessions, as_it_is
from server.store import leases
from server.store.changes import FURTHER
from server.store.connection import Transaction
from server.store.leases import Due, Lease
from server.store.store import Store

_METHODS = "worker"

GOING_ON = Due(0, keeps=True)
"""The worker goes on with it right away."""

NEVER = Due(None)


class Superseded(Exception):
    """The session isn't any more in the state that the worker went on from."""


class Desk(Sessions):
    """Where a worker finds what it works on, and changes it, as long as it holds the lease."""

    def __init__(self, store: Store, longest_seconds: float, approval_seconds: float) -> None:
        """What people have to approve, and what a transaction may take: no longer than a lease, so
        that one of a worker that stands still doesn't keep others from its session."""
        super().__init__(store, approval_seconds)
        self._longest_seconds = longest_seconds

    @contextmanager
    def turn(self, lease: Lease, method: str) -> Iterator["Turn"]:
        """A transaction, recorded as `method` of the session's agent. Raises LeaseLost."""
        deadline = time.monotonic() + self._longest_seconds
        with entered(Call(f"{_METHODS}/{method}", lease.agent, deadline)):
            with self.store.database.transaction() as transaction:
                turn = Turn(self, transaction, lease)
                yield turn
                turn.say_now()
            self.store.notifier.announce(*turn.topics)


class Turn(LockedSession):
    """What a worker may read and change of its session within one transaction."""

    def __init__(self, desk: Desk, transaction: Transaction, lease: Lease) -> None:
        """Raises LeaseLost."""
        self.lease = lease
        self.held = leases.fence(transaction, lease)
        self.patience = Due(desk.approval_seconds)
        super().__init__(desk, transaction, lease.name, FURTHER)

    @property
    def now(self) -> int:
        return self.held.now

    @property
    def is_final(self) -> bool:
        return self.session.state in agent_session_state.FINAL

    def check(self, state: agent_session_state.State) -> None:
        """Raises Superseded unless the session is in this state."""
        if self.session.state != state:
            raise Superseded

    def schedule(self, due: Due) -> None:
        leases.schedule(self.transaction, self.lease, due)

    def move(
        self,
        target: agent_session_state.State,
        due: Due,
        error: str = "",
        *,
        expires: bool = False,
        fill: Callable[[pb.AgentSession], None] = as_it_is,
    ) -> None:
        """Brings the session to a state, and says so; it `expires` when it is due.

        Raises IllegalTransition.
        """
        self.schedule(due)
        self.bring(target, error, expires_in=due.seconds if expires else None, fill=fill)

    def change_exception(
        self,
        exception: exception_pb2.Exception,
        apply: Callable[[exception_pb2.Exception], None],
    ) -> exception_pb2.Exception:
        name = ExceptionName.parse(exception.name)
        return self._all.exceptions.replace(self.transaction, name, FURTHER, exception, apply)
