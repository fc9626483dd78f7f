"""Connections to PostgreSQL and the two ways of using one: a read, and a transaction.

What is read and written is said elsewhere in `store/`; nobody above it sees a connection.
"""

from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import psycopg
from psycopg.types.json import JsonbDumper
from psycopg_pool import ConnectionPool

from server.domain.call import remaining_seconds
from server.domain.errors import DatabaseUnavailable, DeadlinePassed
from server.store.errors import is_lost_connection, translated
from server.store.query import Query

Row = tuple[Any, ...]

_PATIENCE_SECONDS = 5
"""How long a call waits for a connection before the database counts as unreachable."""

# A running timer isn't set anew, only started: so it is stopped first.
_BEGIN = "BEGIN; SET LOCAL transaction_timeout = 0; SET LOCAL transaction_timeout = {limit}"

_READ_LIMITS_MS = (100, 250, 500, 1_000, 2_500, 5_000, 10_000, 20_000, 30_000, 60_000)


class Connection(psycopg.Connection[Row]):
    """A connection that remembers its `transaction_timeout`, to set it only when it changes."""

    limit_ms = 0

    def limit(self, milliseconds: int) -> None:
        if self.limit_ms != milliseconds:
            self.execute(f"SET transaction_timeout = {milliseconds}")
            self.limit_ms = milliseconds


class Transaction:
    """An open transaction; it commits when the block that opened it ends without an error."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def one(self, query: Query, parameters: Mapping[str, Any]) -> Row | None:
        """The only row, or None."""
        return self._connection.execute(query.text, query.parameters(parameters)).fetchone()

    def all(self, query: Query, parameters: Mapping[str, Any]) -> list[Row]:
        return self._connection.execute(query.text, query.parameters(parameters)).fetchall()

    def run(self, query: Query, parameters: Mapping[str, Any]) -> None:
        self._connection.execute(query.text, query.parameters(parameters))

    def each(self, query: Query, parameters: Sequence[Mapping[str, Any]]) -> list[Row]:
        """The one row that the query answers for each set of parameters, in one round trip."""
        with self._connection.cursor() as cursor:
            given = [query.parameters(each) for each in parameters]
            cursor.executemany(query.text, given, returning=True)
            return [row for _ in cursor.results() for row in cursor.fetchall()]

    def run_each(self, query: Query, parameters: Sequence[Mapping[str, Any]]) -> None:
        with self._connection.cursor() as cursor:
            cursor.executemany(query.text, [query.parameters(each) for each in parameters])


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

    def one(self, query: Query, parameters: Mapping[str, Any]) -> Row | None:
        """A read of one row, by itself. Raises DatabaseUnavailable, DeadlinePassed."""
        rows = self.all(query, parameters)
        return rows[0] if rows else None

    def all(self, query: Query, parameters: Mapping[str, Any]) -> list[Row]:
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
        with translated(), self._begun() as connection:
            try:
                yield Transaction(connection)
            except BaseException:
                with suppress(psycopg.Error):
                    connection.execute("ROLLBACK")
                raise
            connection.execute("COMMIT")

    def _read(self, query: Query, parameters: Mapping[str, Any]) -> list[Row]:
        with self._connection() as connection:
            wanted = _milliseconds(remaining_seconds())
            connection.limit(_READ_LIMITS_MS[bisect_left(_READ_LIMITS_MS[:-1], wanted)])
            return connection.execute(query.text, query.parameters(parameters)).fetchall()

    @contextmanager
    def _begun(self) -> Iterator[Connection]:
        """A connection on which a transaction has begun: another one if the first was dead."""
        with self._connection() as connection:
            if self._begin(connection):
                yield connection
                return
        self._pool.check()
        with self._connection() as connection:
            if not self._begin(connection):
                raise DatabaseUnavailable
            yield connection

    def _begin(self, connection: Connection) -> bool:
        limit = _milliseconds(remaining_seconds())
        try:
            connection.execute(_BEGIN.format(limit=limit), prepare=False)
        except psycopg.OperationalError:
            return False
        return True

    @contextmanager
    def _connection(self) -> Iterator[Connection]:
        patience = min(_milliseconds(remaining_seconds()) / 1000, _PATIENCE_SECONDS)
        connection = self._pool.getconn(patience)
        try:
            yield connection
        finally:
            self._pool.putconn(connection)


def _configure(connection: psycopg.Connection[Any]) -> None:
    connection.adapters.register_dumper(dict, JsonbDumper)


def _milliseconds(seconds: float) -> int:
    if seconds <= 0:
        raise DeadlinePassed
    return max(1, int(seconds * 1000))
