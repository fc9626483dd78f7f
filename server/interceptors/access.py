"""What a caller may do: the method's permission, in the workspace that the request names.

Who calls is found in `identity`; which role has which permission is said in `domain/access.py`.
"""

import threading
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from time import monotonic
from typing import Any

from server.domain.access import Membership
from server.domain.call import Call, enter
from server.domain.errors import (
    CredentialsInvalid,
    FeatureNotEnabled,
    NotAMember,
    PermissionLacking,
)
from server.interceptors.identity import Callers, bearer
from server.interceptors.methods import Method, named
from server.interceptors.rpc import Rpc
from server.operations.background import Repetition

_REFUSALS = (CredentialsInvalid, NotAMember, PermissionLacking, FeatureNotEnabled)
_CHECK_SECONDS = 0.5


@dataclass(frozen=True, eq=False)
class _Stream:
    """One that goes on, and may do so as long as its caller may do what it began with."""

    rpc: Rpc
    method: Method
    call: Call


class Access:
    """Refuses what the caller may not do: NotAMember outside of its workspaces, PermissionLacking
    and FeatureNotEnabled within."""

    def __init__(self, callers: Callers) -> None:
        self._callers = callers
        self._lock = threading.Lock()
        self._streams: dict[str, set[_Stream]] = defaultdict(set)
        self._good_for: dict[str, Mapping[str, Membership] | None] = {}

    def check(self, rpc: Rpc, method: Method, call: Call) -> Call:
        """The call, with what its caller may do by now: nothing is refused, and nothing listed
        of several workspaces, by what was kept.

        Raises NotAMember, PermissionLacking, FeatureNotEnabled, CredentialsInvalid.
        """
        since = monotonic()
        try:
            if check(call, method, rpc.request):
                return call
        except _REFUSALS:
            pass
        rpc.call = self._renewed(rpc, method, call, since)
        enter(rpc.call)
        return rpc.call

    @contextmanager
    def watched(self, rpc: Rpc, method: Method, call: Call) -> Iterator[None]:
        """Has a stream go on only as long as its caller may do what it began with."""
        token, stream = bearer(rpc), _Stream(rpc, method, call)
        with self._lock:
            self._streams[token].add(stream)
            self._good_for.pop(token, None)
        try:
            yield
        finally:
            with self._lock:
                self._streams[token].discard(stream)
                if not self._streams[token]:
                    del self._streams[token]

    def check_streams(self) -> None:
        """Withdraws the grants of those whose callers may no longer have them.

        With a token that is good for what it was, all its streams are.
        """
        with self._lock:
            tokens = tuple(self._streams)
            self._good_for = {token: self._good_for.get(token) for token in tokens}
        for token in tokens:
            try:
                memberships = self._callers.caller(token).memberships
            except CredentialsInvalid as refusal:
                for stream in self._streams_of(token):
                    stream.call.grant.withdraw(refusal)
                continue
            if memberships != self._good_for.get(token):
                self._good_for[token] = memberships
                for stream in self._streams_of(token):
                    _check_still(stream, memberships)

    def _streams_of(self, token: str) -> tuple[_Stream, ...]:
        with self._lock:
            return tuple(self._streams.get(token, ()))

    def _renewed(self, rpc: Rpc, method: Method, call: Call, since: float) -> Call:
        caller = self._callers.caller(bearer(rpc), since=since)
        renewed = replace(call, memberships=caller.memberships)
        check(renewed, method, rpc.request)
        return renewed


def _check_still(stream: _Stream, memberships: Mapping[str, Membership]) -> None:
    """Withdraws its grant where it may not go on with these."""
    try:
        check(replace(stream.call, memberships=memberships), stream.method, stream.rpc.request)
    except _REFUSALS as refusal:
        stream.call.grant.withdraw(refusal)


def check(call: Call, method: Method, request: Any) -> bool:
    """Whether it is about one workspace.

    Raises NotAMember, PermissionLacking, FeatureNotEnabled.
    """
    name = named(method, request)
    collection, _, id = name.partition("/workspaces/")
    if id:
        _check_in(call, method, f"{collection}/workspaces/{id.partition('/')[0]}")
    else:
        _check_anywhere(call, method, f"{name}/workspaces/" if name else "", name)
    return bool(id)


def _check_in(call: Call, method: Method, workspace: str) -> None:
    membership = call.memberships.get(workspace)
    if membership is None:
        raise NotAMember(workspace)
    _check_permission(call, method, membership)
    if method.feature and method.feature not in membership.features:
        raise FeatureNotEnabled(workspace, method.feature)


def _check_anywhere(call: Call, method: Method, prefix: str, name: str) -> None:
    """For what is of no workspace: whoever may do it in one of the organization may do it."""
    found = [each for key, each in call.memberships.items() if key.startswith(prefix)]
    if not found:
        raise NotAMember(name) if name else PermissionLacking(call.principal, method.permission)
    _check_permission(call, method, *found)


def _check_permission(call: Call, method: Method, *memberships: Membership) -> None:
    if not any(method.permission in each.permissions for each in memberships):
        raise PermissionLacking(call.principal, method.permission)


def watch_streams(access: Access) -> Repetition:
    """Has the streams checked about every second."""
    return Repetition("stream access", access.check_streams, _CHECK_SECONDS)
