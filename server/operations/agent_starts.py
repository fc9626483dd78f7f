"""How often each principal has begun agent work within the last hour, counted to the last one.

Which methods begin it is said in the protos, by the option `starts_agent_work`.
"""

from server.domain.call import Call
from server.domain.errors import AgentStartsExhausted
from server.store import agent_starts as sql
from server.store.connection import Database


class AgentStarts:
    """The limit `most` an hour, for whichever process and machine it is called in."""

    def __init__(self, database: Database, most: int) -> None:
        self._database = database
        self._most = most

    def count(self, call: Call) -> None:
        """Counts one more, committed when this returns. Raises AgentStartsExhausted."""
        while not sql.count(self._database, call.account, self._most):
            wait = sql.seconds_left(self._database, call.account, self._most)
            if wait > 0:
                raise AgentStartsExhausted(call.principal, self._most, wait)
