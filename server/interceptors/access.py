"""What a caller may do: the method's permission, in the workspace that the request names.

Who calls is found in `identity`; which role has which permission is said in `domain/access.py`.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import reduce
from time import monotonic
from typing import Any

from server.domain.access import Membership
from server.domain.call import Call, current_call, entered
from server.domain.errors import (
    CredentialsInvalid,
    FeatureNotEnabled,
    NotFound,
    PermissionLacking,
)
from server.interceptors.identity import Callers, bearer
from server.interceptors.methods import Method
from server.interceptors.rpc import Rpc
from server.operations.background import Repetition

_REFUSALS = (CredentialsInvalid, NotFound, PermissionLacking, FeatureNotEnabled)
_CHECK_SECONDS = 0.5


@dataclass(frozen=True, eq=False)
class _Stream:
    """One that goes on, and may do so as long as its caller may do what it began with."""

    rpc: Rpc
    method: Method
    call: Call


class Access:
    """Refuses what the caller may not do: NotFound outside of its workspaces, PermissionLacking
    and FeatureNotEnabled within."""

    def __init__(self, callers: Callers) -> None:
        self._callers = callers
        self._lock = threading.Lock()
        self._streams: set[_Stream] = set()

    @contextmanager
    def layer(self, rpc: Rpc) -> Iterator[None]:
        if rpc.method is None:
            yield
            return
        call = self._allowed(rpc, rpc.method)
        with entered(call), self._watched(_Stream(rpc, rpc.method, call)):
            yield

    def check_streams(self) -> None:
        """Withdraws the grants of those whose callers may no longer have them."""
        with self._lock:
            streams = tuple(self._streams)
        for stream in streams:
            try:
                self._renewed(stream.rpc, stream.method, stream.call, since=0)
            except _REFUSALS as refusal:
                stream.call.grant.withdraw(refusal)

    def _allowed(self, rpc: Rpc, method: Method) -> Call:
        """The call, with what its caller may do by now: nothing is refused, and nothing listed
        of several workspaces, by what was kept."""
        call, since = current_call(), monotonic()
        try:
            if check(call, method, rpc.request):
                return call
        except _REFUSALS:
            pass
        return self._renewed(rpc, method, call, since)

    def _renewed(self, rpc: Rpc, method: Method, call: Call, since: float) -> Call:
        caller = self._callers.caller(bearer(rpc), since=since)
        renewed = replace(call, memberships=caller.memberships)
        check(renewed, method, rpc.request)
        return renewed

    @contextmanager
    def _watched(self, stream: _Stream) -> Iterator[None]:
        if not stream.rpc.is_stream:
            yield
            return
        with self._lock:
            self._streams.add(stream)
        try:
            yield
        finally:
            with self._lock:
                self._streams.discard(stream)


def check(call: Call, method: Method, request: Any) -> bool:
    """Whether it is about one workspace. Raises NotFound, PermissionLacking, FeatureNotEnabled."""
    name = _name(method, request)
    collection, _, id = name.partition("/workspaces/")
    if id:
        _check_in(call, method, f"{collection}/workspaces/{id.partition('/')[0]}")
    else:
        _check_anywhere(call, method, f"{name}/workspaces/" if name else "", name)
    return bool(id)


def _name(method: Method, request: Any) -> str:
    return str(reduce(getattr, method.named, request)) if method.named else ""


def _check_in(call: Call, method: Method, workspace: str) -> None:
    membership = call.memberships.get(workspace)
    if membership is None:
        raise NotFound(workspace)
    _check_permission(call, method, membership)
    if method.feature and method.feature not in membership.features:
        raise FeatureNotEnabled(workspace, method.feature)


def _check_anywhere(call: Call, method: Method, prefix: str, name: str) -> None:
    """For what is of no workspace: whoever may do it in one of the organization may do it."""
    found = [each for key, each in call.memberships.items() if key.startswith(prefix)]
    if not found:
        raise NotFound(name) if name else PermissionLacking(call.principal, method.permission)
    _check_permission(call, method, *found)


def _check_permission(call: Call, method: Method, *memberships: Membership) -> None:
    if not any(method.permission in each.permissions for each in memberships):
        raise PermissionLacking(call.principal, method.permission)


def watch_streams(access: Access) -> Repetition:
    """Has the streams checked about every second."""
    return Repetition("stream access", access.check_streams, _CHECK_SECONDS)
