"""Counts the calls of known callers that are refused, for the audit.

Those of unknown ones are in the metrics and the log only; what is written down, and when, is said
in `operations/sealing.py`.
"""

import re
import threading
from collections.abc import Mapping

from google.protobuf.message import Message
from google.rpc import code_pb2

from server.domain.audit import Last, Refused
from server.domain.call import Call
from server.domain.errors import KintsugiError, NotAMember, ReaderTooSlow
from server.interceptors.methods import named
from server.interceptors.rpc import Rpc

_REFUSALS = {
    code_pb2.PERMISSION_DENIED,
    code_pb2.RESOURCE_EXHAUSTED,
    code_pb2.UNAUTHENTICATED,
}
_WORKSPACE = re.compile(r"organizations/[^/]{1,128}/workspaces/[^/]{1,128}")
"""Nothing longer is kept: what is refused may not even have been validated."""


class RefusedCalls:
    """What was refused in this process since it was last taken."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._calls: dict[Refused, Last] = {}

    def note(self, rpc: Rpc, error: KintsugiError) -> None:
        """Counts the call of a known caller if the error refuses it."""
        is_refusal = error.code in _REFUSALS or isinstance(error, NotAMember)
        if rpc.call and is_refusal and not isinstance(error, ReaderTooSlow):
            self.count(rpc.call, error, about(rpc))

    def count(self, call: Call, error: KintsugiError, name: str) -> None:
        """One more call, about what has the name; of whoever is a member nowhere it isn't."""
        workspace = _workspace(call, name)
        if not workspace:
            return
        outcome = code_pb2.Code.Name(error.code)
        refused = Refused(workspace, call.principal, call.method, outcome)
        self.give_back({refused: Last(1, call.token, call.address)})

    def take(self) -> Mapping[Refused, Last]:
        with self._lock:
            calls, self._calls = self._calls, {}
        return calls

    def give_back(self, refused: Mapping[Refused, Last]) -> None:
        """Adds what was taken and could not be written down."""
        with self._lock:
            for calls, last in refused.items():
                self._add(calls, last)

    def _add(self, calls: Refused, last: Last) -> None:
        before = self._calls[calls].calls if calls in self._calls else 0
        self._calls[calls] = last._replace(calls=before + last.calls)


def about(rpc: Rpc) -> str:
    """The name that a request is about; empty where it is no message, or names nothing."""
    return named(rpc.method, rpc.request) if isinstance(rpc.request, Message) else ""


def _workspace(call: Call, name: str) -> str:
    """That of the name, if it is one of the caller's; else the first of these: nobody writes into
    the audit of others."""
    found = _WORKSPACE.match(name)
    if found and found[0] in call.memberships:
        return found[0]
    return next(iter(call.memberships), "")
