"""Who calls, and until when: the Call that handlers see.

Until there is identity everybody is `users/local`, which is only true on one's own machine.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import ip_address

from server.domain.call import LONGEST_SECONDS, Call, enter, leave
from server.domain.errors import CallerRefused
from server.interceptors.rpc import Layer, Rpc

ADDRESS = "x-auth-address"
LOCAL_PRINCIPAL = "users/local"

_LOOPBACK = ("ipv4:127.", "ipv6:[::1]", "ipv6:%5B::1%5D", "unix:")


def identity(longest_seconds: float = LONGEST_SECONDS) -> Layer:
    """Gives the call its principal and its deadline: the client's, at most `longest_seconds`."""

    @contextmanager
    def layer(rpc: Rpc) -> Iterator[None]:
        if rpc.method is None:
            yield
            return
        token = enter(Call(rpc.path, _principal(rpc), _deadline(rpc, longest_seconds)))
        try:
            yield
        finally:
            leave(token)

    return layer


def _principal(rpc: Rpc) -> str:
    if not (rpc.context.peer().startswith(_LOOPBACK) and _came_from_here(rpc)):
        raise CallerRefused("calls are accepted from the server's own machine only")
    return LOCAL_PRINCIPAL


def _came_from_here(rpc: Rpc) -> bool:
    """Envoy names the address of its own caller, and lets nobody else name one."""
    metadata = rpc.context.invocation_metadata()
    return all(_is_loopback(str(value)) for name, value in metadata if name == ADDRESS)


def _is_loopback(address: str) -> bool:
    try:
        return ip_address(address).is_loopback
    except ValueError:
        return False


def _deadline(rpc: Rpc, longest_seconds: float) -> float | None:
    if rpc.is_stream:
        return None
    remaining = rpc.context.time_remaining()
    seconds = longest_seconds if remaining is None else min(remaining, longest_seconds)
    return time.monotonic() + seconds
