"""How often each principal has begun agent work within the last hour, counted to the last one.

Which methods begin it is said in the protos, by the option `starts_agent_work`.
"""

from collections.abc import Iterator
from contextlib import contextmanager, suppress

from google.rpc import code_pb2

from server.domain.call import Call
from server.domain.errors import (
    AgentStartsExhausted,
    DatabaseUnavailable,
    DeadlinePassed,
    KintsugiError,
)
from server.store import agent_starts as sql
from server.store.connection import Database
from server.store.errors import Duplicate

_UNSURE = (code_pb2.UNAVAILABLE, code_pb2.DEADLINE_EXCEEDED, code_pb2.INTERNAL)
"""With any other code nothing was begun."""


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

    @contextmanager
    def counted(self, call: Call) -> Iterator[None]:
        """Around what begins agent work: counted before, and no more if it is refused.

        Raises AgentStartsExhausted.
        """
        self.count(call)
        try:
            yield
        except Duplicate:  # it was begun before
            self._take_back(call)
            raise
        except KintsugiError as error:
            if error.code not in _UNSURE:
                self._take_back(call)
            raise

    def _take_back(self, call: Call) -> None:
        with suppress(DatabaseUnavailable, DeadlinePassed):
            sql.take_back(self._database, call.account)
