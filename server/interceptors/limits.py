"""What one principal may have of the server: calls a second, streams at once, agent work an hour.

How many calls the server holds of all together is the business of `admission`.
"""

from dataclasses import dataclass

from server.domain.call import Call
from server.domain.errors import RateLimited
from server.interceptors.admission import StreamLimit
from server.interceptors.buckets import Buckets
from server.operations.agent_starts import AgentStarts


@dataclass(frozen=True)
class Limits:
    """The limits of each principal, and that of a request."""

    calls: Buckets
    streams: StreamLimit
    agent_starts: AgentStarts
    request_bytes: int

    def count_call(self, call: Call) -> None:
        """Counts every call of ours, a stream once, when it begins. Raises RateLimited."""
        wait = self.calls.take(call.account)
        if wait:
            raise RateLimited(call.principal, self.calls.rate.calls, wait)
