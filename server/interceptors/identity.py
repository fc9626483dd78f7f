"""Who calls, and until when: the Call that handlers see.

What a caller may do is said in `access`.
"""

import time
from functools import lru_cache
from ipaddress import ip_address
from typing import Protocol

from server.domain.access import Membership
from server.domain.call import LONGEST_SECONDS, Call, enter
from server.domain.errors import CredentialsInvalid, CredentialsMissing
from server.interceptors.refusals import RefusedCalls, about
from server.interceptors.rpc import Rpc
from server.operations.authentication import Caller

ADDRESS = "x-auth-address"

_AUTHORIZATION = "authorization"
_SCHEME = "bearer "
_MOST_ADDRESSES = 1024


class Callers(Protocol):
    """Whom tokens belong to."""

    def caller(self, token: str, *, since: float = 0.0) -> Caller:
        """As it was at `since` or later. Raises CredentialsInvalid."""


def identify(
    rpc: Rpc,
    callers: Callers,
    refused: RefusedCalls,
    longest_seconds: float = LONGEST_SECONDS,
) -> Call:
    """Gives an RPC its call, with the client's deadline, at most `longest_seconds`.

    Raises CredentialsMissing, CredentialsInvalid.
    """
    deadline, address = _deadline(rpc, longest_seconds), _address(rpc)
    enter(Call(rpc.path, "", deadline))  # which bounds the look at the database
    try:
        caller = callers.caller(bearer(rpc))
    except CredentialsInvalid as error:
        if error.workspace:
            own = {error.workspace: Membership("", frozenset())}
            known = Call(rpc.path, error.principal, deadline, error.token, address, own)
            refused.count(known, error, about(rpc))
        raise
    rpc.call = call_of(caller, rpc.path, deadline, address)
    enter(rpc.call)
    return rpc.call


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
    given = str(rpc.metadata.get(_AUTHORIZATION, ""))
    if not given[: len(_SCHEME)].lower() == _SCHEME:
        raise CredentialsMissing
    if len(rpc.pairs) > len(rpc.metadata) and _times(rpc, _AUTHORIZATION) > 1:
        raise CredentialsInvalid("was given more than once")
    return given[len(_SCHEME) :].strip()


def _times(rpc: Rpc, key: str) -> int:
    return sum(name == key for name, _ in rpc.pairs)


def _address(rpc: Rpc) -> str:
    """Envoy names the address of its own caller, and lets nobody else name one."""
    named = str(rpc.metadata.get(ADDRESS, ""))
    return named if named and _is_address(named) else _peer(rpc.context.peer())


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
