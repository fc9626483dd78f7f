"""What one principal may have of the server: calls a second, streams at once, agent work an hour.

How many calls the server holds of all together is the business of `admission`.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from server.domain.call import current_call
from server.domain.errors import RateLimited
from server.interceptors.admission import StreamLimit
from server.interceptors.buckets import Buckets
from server.interceptors.rpc import Rpc
from server.operations.agent_starts import AgentStarts


@dataclass(frozen=True)
class Limits:
    """The limits of each principal, each a layer at its own place, and that of a request."""

    calls: Buckets
    streams: StreamLimit
    agent_starts: AgentStarts
    request_bytes: int

    @contextmanager
    def calls_layer(self, rpc: Rpc) -> Iterator[None]:
        """Counts every call of ours, a stream once, when it begins. Raises RateLimited."""
        if rpc.method is not None:
            call = current_call()
            wait = self.calls.take(call.account)
            if wait:
                raise RateLimited(call.principal, self.calls.rate.calls, wait)
        yield

    @contextmanager
    def agent_starts_layer(self, rpc: Rpc) -> Iterator[None]:
        """Counts what begins agent work, for good before it begins. Raises AgentStartsExhausted."""
        if rpc.method is not None and rpc.method.starts_agent_work:
            self.agent_starts.count(current_call())
        yield
