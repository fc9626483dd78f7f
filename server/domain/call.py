"""The call that is being served: who makes it, which method, until when.

Set by the interceptors and valid while its handler runs; never stored.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, replace

from server.domain.access import Membership
from server.domain.errors import KintsugiError

LONGEST_SECONDS = 30.0
"""What a call may take that has no deadline of its own, and work that belongs to no call."""


@dataclass
class Grant:
    """What a stream goes on by: it is withdrawn when its caller may no longer have it."""

    withdrawn: KintsugiError | None = None
    on_withdrawal: Callable[[], None] = lambda: None

    def withdraw(self, error: KintsugiError) -> None:
        self.withdrawn = error
        self.on_withdrawal()

    def check(self) -> None:
        """Raises what it was withdrawn for."""
        if self.withdrawn is not None:
            raise self.withdrawn


@dataclass(frozen=True, slots=True)
class Call:
    """One RPC. `deadline` is on the clock of `time.monotonic()`, in seconds; a stream has none.

    `token` is the id of the access token that it came with, `address` where it came from; both are
    empty where that isn't known. `memberships` are by the names of the
    workspaces; `is_everywhere` says whether they are all that the principal has.
    """

    method: str
    principal: str
    deadline: float | None
    token: str = ""
    address: str = ""
    memberships: Mapping[str, Membership] = field(default_factory=dict)
    is_everywhere: bool = False
    grant: Grant = field(default_factory=Grant)

    @property
    def account(self) -> str:
        """Whose limits it counts against: the principal's, or with a token for one workspace the
        principal's there. Who manages one makes tokens of anybody, and must not use up theirs."""
        if self.is_everywhere:
            return self.principal
        return "/".join([*(each.uid for each in self.memberships.values()), self.principal])


_current: ContextVar[Call | None] = ContextVar("call", default=None)


def current_call() -> Call:
    """The call that is being served. Raises LookupError outside of one."""
    call = _current.get()
    if call is None:
        raise LookupError("no call is being served")
    return call


@contextmanager
def until(deadline: float) -> Iterator[None]:
    """Within, the current call may take until then."""
    with entered(replace(current_call(), deadline=deadline)):
        yield


def remaining_seconds() -> float:
    """What the current call may still take, possibly negative; a stream, for each thing it does."""
    call = _current.get()
    if call is None or call.deadline is None:
        return LONGEST_SECONDS
    return call.deadline - time.monotonic()


def enter(call: Call) -> None:
    """Makes `call` the current one of this thread, until `leave`."""
    _current.set(call)


def leave() -> None:
    """There is no current call any more."""
    _current.set(None)


@contextmanager
def entered(call: Call) -> Iterator[None]:
    """Makes `call` the current one within."""
    token = _current.set(call)
    try:
        yield
    finally:
        _current.reset(token)
