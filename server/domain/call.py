"""The call that is being served: who makes it, which method, until when.

Set by the interceptors and valid while its handler runs; never stored.
"""

import time
from contextvars import ContextVar, Token
from dataclasses import dataclass

LONGEST_SECONDS = 30.0
"""What a call may take that has no deadline of its own, and work that belongs to no call."""


@dataclass(frozen=True, slots=True)
class Call:
    """One RPC. `deadline` is on the clock of `time.monotonic()`, in seconds; a stream has none.

    `token` is the id of the access token that it came with, `address` where it came from; both are
    empty where that isn't known.
    """

    method: str
    principal: str
    deadline: float | None
    token: str = ""
    address: str = ""


_current: ContextVar[Call] = ContextVar("call")


def current_call() -> Call:
    """The call that is being served. Raises LookupError outside of one."""
    return _current.get()


def remaining_seconds() -> float:
    """What the current call may still take, possibly negative; a stream, for each thing it does."""
    call = _current.get(None)
    if call is None or call.deadline is None:
        return LONGEST_SECONDS
    return call.deadline - time.monotonic()


def enter(call: Call) -> Token[Call]:
    """Makes `call` the current one; `leave` undoes it."""
    return _current.set(call)


def leave(token: Token[Call]) -> None:
    _current.reset(token)
