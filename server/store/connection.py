"""Connections to PostgreSQL and the two ways of using one: a read, and a transaction.

What is read and written is said elsewhere in `store/`; nobody above it sees a connection.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from typing import Any

import psycopg
from psycopg.types.json import JsonbDumper
from psycopg_pool import ConnectionPool

from server.domain.call import remaining_seconds
from server.domain.errors import DeadlinePassed
from server.store.errors import is_lost_connection, translated
from server.store.query import Query

Row = tuple[Any, ...]
Parameters = Mapping[str, Any]
Statement = tuple[str, Parameters]

_PATIENCE_SECONDS = 5
"""How long a call waits for a connection before the database counts as unreachable."""

_LIMITS_MS = [round(100 * 1.25**step) for step in range(40)]
"""What a deadline is rounded up to, so that the timeout of a connection has rarely to be set."""


class Connection(psycopg.Connection[Row]):
    """A connection that remembers its `transaction_timeout`, to set it only when it changes."""

    limit_ms = 0

    def limit(self, seconds: float) -> None:
        """Bounds every transaction that begins from now on. Raises DeadlinePassed."""
        if seconds <= 0:
            raise DeadlinePassed
        limit = _LIMITS_MS[min(bisect_left(_LIMITS_MS, seconds * 1000), len(_LIMITS_MS) - 1)]
        if self.limit_ms != limit:
            self.execute(f"SET transaction_timeout = {limit}")
            self.limit_ms = limit


class Transaction:
    """An open transaction; it commits when the block that opened it ends without an error.

    What needs no answer, BEGIN and COMMIT too, is sent along with the next statement that does:
    round trips are what a short transaction costs most.
    """

    def __init__(self, connection: Connection, renew: Callable[[], Connection]) -> None:
        """`renew` gives another connection if the first one turns out to be dead."""
        self._connection = connection
        self._renew = renew
        self._unsent: list[Statement] = [("BEGIN", {})]
        self._is_fresh = True

    def one(self, query: Query, parameters: Parameters) -> Row | None:
        """The only row, or None."""
        rows = self.all(query, parameters)
        return rows[0] if rows else None

    def all(self, query: Query, parameters: Parameters) -> list[Row]:
        [rows] = self._send([(query.text, query.parameters(parameters))])
        return rows

    def each(self, query: Query, parameters: Sequence[Parameters]) -> list[Row]:
        """The one row that the query answers for each set of parameters, in one round trip."""
        answers = self._send([(query.text, query.parameters(each)) for each in parameters])
        return [row for [row] in answers]

    def later(self, query: Query, parameters: Parameters) -> None:
        """Runs the query before the next one, or before the end; its answer is not wanted."""
        self._unsent.append((query.text, query.parameters(parameters)))

    def commit(self) -> None:
        self._unsent.append(("COMMIT", {}))
        self._run([])

    def roll_back(self) -> None:
        with suppress(psycopg.Error):
            self._connection.execute("ROLLBACK")

    def _send(self, statements: Sequence[Statement]) -> list[list[Row]]:
        try:
            return self._run(statements)
        except psycopg.OperationalError as error:
            if not (self._is_fresh and is_lost_connection(error)):
                raise
        self._connection = self._renew()
        return self._run(statements)

    def _run(self, statements: Sequence[Statement]) -> list[list[Row]]:
        if self._is_fresh:
            self._connection.limit(remaining_seconds())
        with self._connection.pipeline():
            for statement in self._unsent:
                self._connection.execute(*statement)
            cursors = [self._connection.execute(*statement) for statement in statements]
        self._is_fresh, self._unsent = False, []
        return [cursor.fetchall() for cursor in cursors]


class Database:
    """A pool of connections. Every use is bounded by the deadline of the current call."""

    def __init__(self, url: str, connections: int) -> None:
        self._pool = ConnectionPool(
            url,
            connection_class=Connection,
            kwargs={"autocommit": True, "application_name": "kintsugi"},
            min_size=1,
            max_size=connections,
            configure=_configure,
            open=True,
            name="database",
        )

    def close(self) -> None:
        self._pool.close()

    def one(self, query: Query, parameters: Parameters) -> Row | None:
        """A read of one row, by itself. Raises DatabaseUnavailable, DeadlinePassed."""
        rows = self.all(query, parameters)
        return rows[0] if rows else None

    def all(self, query: Query, parameters: Parameters) -> list[Row]:
        """A read by itself, once more if its connection turns out to be dead."""
        with translated():
            try:
                return self._read(query, parameters)
            except psycopg.OperationalError as error:
                if not is_lost_connection(error):
                    raise
            self._pool.check()
            return self._read(query, parameters)

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        """A transaction that ends, committed or not, before the call's deadline does."""
        with translated(), ExitStack() as leases:
            connection = leases.enter_context(self._connection())
            transaction = Transaction(connection, lambda: self._renew(leases))
            try:
                yield transaction
                transaction.commit()
            except BaseException:
                transaction.roll_back()
                raise

    def _renew(self, leases: ExitStack) -> Connection:
        self._pool.check()
        return leases.enter_context(self._connection())

    def _read(self, query: Query, parameters: Parameters) -> list[Row]:
        with self._connection() as connection:
            connection.limit(remaining_seconds())
            return connection.execute(query.text, query.parameters(parameters)).fetchall()

    @contextmanager
    def _connection(self) -> Iterator[Connection]:
        connection = self._pool.getconn(min(max(remaining_seconds(), 0), _PATIENCE_SECONDS))
        try:
            yield connection
        finally:
            self._pool.putconn(connection)


def _configure(connection: psycopg.Connection[Any]) -> None:
    connection.adapters.register_dumper(dict, JsonbDumper)
