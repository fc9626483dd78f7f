"""Connections to PostgreSQL and the two ways of using one: a statement alone, and a transaction.

What is read and written is said elsewhere in `store/`; nobody above it sees a connection.
"""

import select
from bisect import bisect_left
from collections import deque
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from functools import cached_property
from itertools import count
from typing import Any, NamedTuple

import orjson
import psycopg
from psycopg.adapt import Loader
from psycopg.types.json import JsonbDumper, set_json_dumps
from psycopg_pool import ConnectionPool

from server.domain.call import remaining_seconds
from server.domain.errors import DeadlinePassed
from server.store.errors import translated
from server.store.query import Query

Row = tuple[Any, ...]
Parameters = Mapping[str, Any]

_PATIENCE_SECONDS = 5
"""How long a call waits for a connection before the database counts as unreachable."""

_FETCHED = 32
"""How many rows are fetched at once where few may be enough."""

_CONNECTION = {
    "application_name": "kintsugi",
    "client_encoding": "utf8",  # whatever the environment or the database says
    "connect_timeout": _PATIENCE_SECONDS,
    # A machine that is gone says nothing: without these, calls would wait for it for ever.
    "keepalives_idle": 10,
    "tcp_user_timeout": 30_000,
}

_APART: dict[str, Any] = {**_CONNECTION, "keepalives_interval": 2, "keepalives_count": 3}

_LIMITS_MS = [round(100 * 1.25**step) for step in range(40)]
"""What a deadline is rounded up to, so that the timeout of a connection has rarely to be set."""


class Connection(psycopg.Connection[Row]):
    """A connection that remembers its `transaction_timeout`, to set it only when it changes."""

    limit_ms = 0

    @cached_property
    def _cursor(self) -> psycopg.RawCursor[Row]:
        """One for all statements: whoever has the connection reads a result before the next."""
        return psycopg.RawCursor(self)

    def limit(self, seconds: float) -> None:
        """Bounds every transaction that begins from now on. Raises DeadlinePassed."""
        if seconds <= 0:
            raise DeadlinePassed
        limit = _LIMITS_MS[min(bisect_left(_LIMITS_MS, seconds * 1000), len(_LIMITS_MS) - 1)]
        if self.limit_ms != limit:
            self.execute(f"SET transaction_timeout = {limit}")
            self.limit_ms = limit

    def was_closed(self) -> bool:
        """Whether the server has ended it: while it is idle, that is all there is to be told."""
        return is_told(self, 0)

    def all(self, query: Query, parameters: Parameters) -> list[Row]:
        return self._cursor.execute(query.text, query.parameters(parameters)).fetchall()


class Transaction:
    """An open transaction; it commits when the block that opened it ends without an error."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._numbers = count()

    def one(self, query: Query, parameters: Parameters) -> Row | None:
        """The only row, or None."""
        rows = self._connection.all(query, parameters)
        return rows[0] if rows else None

    def all(self, query: Query, parameters: Parameters) -> list[Row]:
        return self._connection.all(query, parameters)

    def rows(self, query: Query, parameters: Parameters) -> Generator[Row]:
        """The same, read as they are taken; whoever has enough of them closes the iterator."""
        with psycopg.RawServerCursor(self._connection, f"rows{next(self._numbers)}") as cursor:
            cursor.itersize = _FETCHED
            yield from cursor.execute(query.text, query.parameters(parameters))

    def each(self, query: Query, parameters: Sequence[Parameters]) -> list[Row]:
        """The one row that the query answers for each set of parameters, in one round trip."""
        with psycopg.RawCursor(self._connection) as cursor:
            given = [query.parameters(each) for each in parameters]
            cursor.executemany(query.text, given, returning=True)
            return [row for _ in cursor.results() for row in cursor.fetchall()]

    def copy(self, statement: str, rows: Iterable[Row]) -> None:
        """Inserts rows by `COPY … FROM STDIN`: of many, cheaper than any INSERT."""
        with self._connection.cursor() as cursor, cursor.copy(statement) as copy:
            for row in rows:
                copy.write_row(row)


class _Stack(deque[Connection]):
    """Idle connections: the one that was used last is used next."""

    def append(self, connection: Connection) -> None:
        self.appendleft(connection)


class _Pool(ConnectionPool[Connection]):
    """Keeps to few connections where few are needed: PostgreSQL's process behind one that was just
    used has at hand what the next statement needs. psycopg's own pool goes round all of them.
    """

    def __init__(self, *args: Any, **settings: Any) -> None:
        super().__init__(*args, **settings, open=False)
        self._pool = _Stack()
        self.open()


class Use(NamedTuple):
    """How many connections of a pool are used, how many idle, who waits for one, and the limit."""

    used: int
    idle: int
    waiting: int
    limit: int


class Database:
    """A pool of connections. Every use is bounded by the deadline of the current call."""

    def __init__(self, url: str, connections: int) -> None:
        self._pool = _Pool(
            url,
            connection_class=Connection,
            kwargs={"autocommit": True, **_CONNECTION},
            min_size=1,
            max_size=connections,
            configure=_configure,
            name="database",
        )

    def close(self) -> None:
        self._pool.close()

    @property
    def use(self) -> Use:
        """How it is right now."""
        stats = self._pool.get_stats()
        idle = stats.get("pool_available", 0)
        used = stats.get("pool_size", 0) - idle
        return Use(used, idle, stats.get("requests_waiting", 0), self._pool.max_size)

    def one(self, query: Query, parameters: Parameters) -> Row | None:
        """A statement by itself that answers one row or none.

        Raises DatabaseUnavailable, DeadlinePassed, Duplicate.
        """
        rows = self.all(query, parameters)
        return rows[0] if rows else None

    def all(self, query: Query, parameters: Parameters) -> list[Row]:
        """A statement by itself; it is committed when this returns."""
        with self._connection() as connection:
            return connection.all(query, parameters)

    def transaction(self) -> AbstractContextManager[Transaction]:
        """A transaction that ends, committed or not, at about the call's deadline at the latest."""
        return self._transaction("BEGIN")

    def snapshot(self) -> AbstractContextManager[Transaction]:
        """The same, to read: all of it as it was at one moment."""
        return self._transaction("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")

    @contextmanager
    def _transaction(self, begin: str) -> Iterator[Transaction]:
        with self._connection() as connection:
            connection.execute(begin)
            try:
                yield Transaction(connection)
            except BaseException:
                with suppress(psycopg.Error):
                    connection.execute("ROLLBACK")
                raise
            connection.execute("COMMIT")

    @contextmanager
    def _connection(self) -> Iterator[Connection]:
        with translated():
            connection = self._living_connection()
            try:
                connection.limit(remaining_seconds())
                yield connection
            finally:
                self._pool.putconn(connection)

    def _living_connection(self) -> Connection:
        while True:
            patience = min(max(remaining_seconds(), 0), _PATIENCE_SECONDS)
            connection = self._pool.getconn(patience)
            if not connection.was_closed():
                return connection
            connection.close()
            self._pool.putconn(connection)


def is_told(connection: psycopg.Connection[Any], seconds: float) -> bool:
    """Whether the server has anything to say to an idle connection, after at most so long."""
    waiting = select.poll()
    waiting.register(connection.fileno(), select.POLLIN)
    return bool(waiting.poll(seconds * 1000))


def connect_apart(url: str) -> psycopg.Connection[Row]:
    """A connection outside of the pool, for what is always connected. Raises psycopg.Error."""
    return psycopg.connect(url, autocommit=True, **_APART)


def _configure(connection: psycopg.Connection[Any]) -> None:
    connection.adapters.register_dumper(dict, JsonbDumper)
    set_json_dumps(orjson.dumps, connection)
    connection.adapters.register_loader("json", _JsonLoader)
    connection.adapters.register_loader("jsonb", _JsonLoader)


class _JsonLoader(Loader):
    """psycopg's own copies every value first."""

    load = staticmethod(orjson.loads)  # type: ignore[assignment]  # no method: called without it
