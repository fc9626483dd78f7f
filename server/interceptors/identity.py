"""Who calls, and until when: the Call that handlers see.

What a caller may do is said in `access`.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from ipaddress import ip_address
from typing import Protocol

from server.domain.access import Membership
from server.domain.call import LONGEST_SECONDS, Call, entered
from server.domain.errors import CredentialsInvalid, CredentialsMissing
from server.interceptors.refusals import RefusedCalls, about
from server.interceptors.rpc import Layer, Rpc
from server.operations.authentication import Caller

ADDRESS = "x-auth-address"

_AUTHORIZATION = "authorization"
_SCHEME = "bearer "
_MOST_ADDRESSES = 1024


class Callers(Protocol):
    """Whom tokens belong to."""

    def caller(self, token: str, *, since: float = 0.0) -> Caller:
        """As it was at `since` or later. Raises CredentialsInvalid."""


def identity(
    callers: Callers, refused: RefusedCalls, longest_seconds: float = LONGEST_SECONDS
) -> Layer:
    """Gives the call its principal and its deadline: the client's, at most `longest_seconds`."""

    @contextmanager
    def layer(rpc: Rpc) -> Iterator[None]:
        if rpc.method is None:
            yield
            return
        deadline, address = _deadline(rpc, longest_seconds), _address(rpc)
        try:
            with entered(Call(rpc.path, "", deadline)):
                caller = callers.caller(bearer(rpc))
        except CredentialsInvalid as error:
            if error.workspace:
                own = {error.workspace: Membership("", frozenset())}
                known = Call(rpc.path, error.principal, deadline, error.token, address, own)
                refused.count(known, error, about(rpc))
            raise
        with entered(call_of(caller, rpc.path, deadline, address)):
            yield

    return layer


def call_of(caller: Caller, path: str, deadline: float | None, address: str) -> Call:
    return Call(
        path,
        caller.principal,
        deadline,
        caller.token,
        address,
        caller.memberships,
        caller.is_everywhere,
    )


def bearer(rpc: Rpc) -> str:
    """The token that the call brings. Raises CredentialsMissing, CredentialsInvalid."""
    metadata = rpc.context.invocation_metadata()
    given = [str(value) for name, value in metadata if name == _AUTHORIZATION]
    if not given or not given[0].lower().startswith(_SCHEME):
        raise CredentialsMissing
    if len(given) > 1:
        raise CredentialsInvalid("was given more than once")
    return given[0][len(_SCHEME) :].strip()


def _address(rpc: Rpc) -> str:
    """Envoy names the address of its own caller, and lets nobody else name one."""
    metadata = rpc.context.invocation_metadata()
    for name, value in metadata:
        if name == ADDRESS and _is_address(str(value)):
            return str(value)
    return _peer(rpc.context.peer())


@lru_cache(_MOST_ADDRESSES)
def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def _peer(peer: str) -> str:
    """`ipv4:127.0.0.1:53412` without what isn't the address."""
    return peer.partition(":")[2].rpartition(":")[0].replace("%5B", "[").replace("%5D", "]")


def _deadline(rpc: Rpc, longest_seconds: float) -> float | None:
    if rpc.is_stream:
        return None
    remaining = rpc.context.time_remaining()
    seconds = longest_seconds if remaining is None else min(remaining, longest_seconds)
    return time.monotonic() + seconds
