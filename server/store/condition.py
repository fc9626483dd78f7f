"""What can be wrong with a database: version, schema, clock, room, transactions, counts.

It only reads. What else belongs to a deployment is looked at in `server/doctor.py`.
"""

import time
from collections.abc import Iterator
from typing import Any

import psycopg
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import text

from server.domain.finding import Finding, ok, warning, wrong
from server.store.audit import BEYOND, HEADS
from server.store.count_rollup import DIFFERENCES
from server.store.leases import LEFT
from server.store.migrate import MIGRATIONS
from server.store.query import Query
from server.store.schema import ENCODING, NEW_DATABASE

_OLDEST = 17
_MIGRATE = "run `kintsugi migrate`, or stop `kintsugi up` and start it again"
_CLOCK_SECONDS = 2.0
_LONG_SECONDS = 30
_EXAMINED_SECONDS = 60

_VERSION = Query(text("SELECT to_regclass('alembic_version') IS NOT NULL"))
_REVISION = Query(text("SELECT version_num FROM alembic_version"))
_CLUSTERS = Query(
    text(
        """
        SELECT pg_control_system.system_identifier = newest.system_identifier
        FROM pg_control_system(),
          (SELECT system_identifier FROM clusters ORDER BY epoch DESC LIMIT 1) newest
        """
    )
)
_TRGM = Query(text("SELECT count(*) FROM pg_extension WHERE extname = 'pg_trgm'"))
_CLOCK = Query(text("SELECT extract(epoch FROM clock_timestamp())"))
_UNSAFE = Query(
    text(
        """
        SELECT name FROM pg_settings
        WHERE name IN ('fsync', 'full_page_writes', 'synchronous_commit') AND setting = 'off'
        ORDER BY name
        """
    )
)
_ROOM = Query(
    text(
        """
        SELECT current_setting('max_connections')::int
          - current_setting('superuser_reserved_connections')::int,
          (SELECT count(*) FROM pg_stat_activity
            WHERE backend_type = 'client backend' AND application_name <> 'kintsugi')
        """
    )
)
_LONG = Query(
    text(
        f"""
        SELECT 'process ' || pid, coalesce(datname, ''), coalesce(usename, ''),
          round(extract(epoch FROM clock_timestamp() - xact_start)),
          'SELECT pg_terminate_backend(' || pid || ')'
        FROM pg_stat_activity
        WHERE backend_xid IS NOT NULL
          AND clock_timestamp() - xact_start > make_interval(secs => {_LONG_SECONDS})
        UNION ALL
        SELECT 'prepared ' || quote_literal(gid), database, owner,
          round(extract(epoch FROM clock_timestamp() - prepared)),
          'ROLLBACK PREPARED ' || quote_literal(gid)
        FROM pg_prepared_xacts
        WHERE clock_timestamp() - prepared > make_interval(secs => {_LONG_SECONDS})
        ORDER BY 4 DESC
        """
    )
)
_UNSEALED = Query(
    text(
        f"""
        SELECT EXISTS (
            SELECT FROM {HEADS} JOIN changes ON {BEYOND}
            WHERE changes.create_time < clock_timestamp() - interval '2 minutes'
        )
        """
    )
)
_SEES_ALL = Query(text("SELECT pg_has_role(current_user, 'pg_read_all_stats', 'USAGE')"))

Connection = psycopg.Connection[tuple[Any, ...]]


def examine(url: str, connections: int) -> Iterator[Finding]:
    """All that can be found out; `connections` is how many the servers may open at most."""
    try:
        with psycopg.connect(
            url, connect_timeout=5, autocommit=True, client_encoding=ENCODING
        ) as connection:
            connection.execute(f"SET statement_timeout = '{_EXAMINED_SECONDS}s'")
            yield from _examined(connection, connections)
    except psycopg.Error as error:
        yield wrong(
            "database",
            f"can't be used: {str(error).strip().partition(chr(10))[0]}",
            "start it, or correct --database-url (KINTSUGI_DATABASE_URL)",
        )


def _examined(connection: Connection, connections: int) -> Iterator[Finding]:
    yield _version(connection)
    yield _encoding(connection)
    yield _clock(connection)
    yield _durability(connection)
    yield _room(connection, connections)
    yield _transactions(connection)
    schema = _schema(connection)
    yield schema
    if not schema.advice:
        yield _cluster(connection)
        yield _trigrams(connection)
        yield _counts(connection)
        yield _audit(connection)
        yield _sessions(connection)


def _version(connection: Connection) -> Finding:
    version = connection.info.server_version // 10000
    if version < _OLDEST:
        return wrong("database", f"PostgreSQL {version}", f"use PostgreSQL {_OLDEST} or newer")
    return ok("database", f"PostgreSQL {version} answers at {connection.info.host}")


def _encoding(connection: Connection) -> Finding:
    found = str(connection.info.parameter_status("server_encoding"))
    if found != ENCODING:
        return wrong("encoding", f"{found} can't hold every text", NEW_DATABASE)
    return ok("encoding", found)


def _schema(connection: Connection) -> Finding:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    head = ScriptDirectory.from_config(config).get_current_head()
    is_there = _one(connection, _VERSION)
    found = _one(connection, _REVISION) if is_there else "none"
    if found == head:
        return ok("schema", f"version {head}, the newest")
    return wrong("schema", f"version {found}, this is {head}", _MIGRATE)


def _cluster(connection: Connection) -> Finding:
    if _one(connection, _CLUSTERS):
        return ok("cluster", "the one that the data was written in")
    return wrong("cluster", "not the one that the data was written in", _MIGRATE)


def _trigrams(connection: Connection) -> Finding:
    if _one(connection, _TRGM):
        return ok("pg_trgm", "installed")
    return warning(
        "pg_trgm",
        "not installed: searching in texts reads every row",
        "install PostgreSQL's contrib package, then CREATE EXTENSION pg_trgm and its indexes",
    )


def _clock(connection: Connection) -> Finding:
    before = time.time()
    theirs = float(_one(connection, _CLOCK))
    difference = theirs - (before + time.time()) / 2
    found = f"the database's differs by {difference:+.2f} s from this machine's"
    if abs(difference) > _CLOCK_SECONDS:
        return warning("clock", found, "keep both by NTP: times in logs and in data won't agree")
    return ok("clock", found)


def _durability(connection: Connection) -> Finding:
    off = [name for [name] in _all(connection, _UNSAFE)]
    if off:
        names = ", ".join(off)
        return wrong("durability", f"{names} off", f"turn {names} on: a power cut destroys data")
    return ok("durability", "what was answered survives a power cut")


def _room(connection: Connection, connections: int) -> Finding:
    [(limit, others)] = _all(connection, _ROOM)
    found = f"the servers may open {connections}, others have {others}, {limit} are possible"
    if connections + others > limit:
        return wrong("connections", found, "raise max_connections, or lower KINTSUGI_THREADS")
    return ok("connections", found)


def _transactions(connection: Connection) -> Finding:
    long = _all(connection, _LONG)
    if long:
        who, database, user, seconds, end = long[0]
        return wrong(
            "transactions",
            f"{len(long)} open for long delay watches, the longest for {seconds:.0f} s: {who} of "
            f"{user} in {database}",
            f"let it end, or: {end}",
        )
    if not _one(connection, _SEES_ALL):
        advice = "GRANT pg_read_all_stats to this user"
        return warning("transactions", "those of other users can't be seen", advice)
    return ok("transactions", f"none that writes is open for more than {_LONG_SECONDS} s")


def _counts(connection: Connection) -> Finding:
    try:
        different = sum(len(_all(connection, query)) for query in DIFFERENCES)
    except psycopg.errors.QueryCanceled:
        return warning("counts", "too many exceptions to be counted in time", "see /metrics")
    if different:
        found = f"{different} kinds of exceptions are counted wrong"
        return wrong("counts", found, "run `kintsugi migrate --recount`")
    return ok("counts", "as many as there are exceptions")


def _audit(connection: Connection) -> Finding:
    if _one(connection, _UNSEALED):
        found = "changes of more than two minutes ago aren't sealed"
        return warning("audit", found, "let open transactions end, and see the servers' logs")
    return ok("audit", "sealed; whether nobody changed it since, `kintsugi audit verify` says")


def _sessions(connection: Connection) -> Finding:
    if left := _one(connection, LEFT):
        found = f"{left} agent sessions are due for more than 10 s, and no worker has taken them"
        advice = (
            "see worker.log; `kintsugi up` starts a worker again that is killed, elsewhere run"
            " `kintsugi worker`, or more of them"
        )
        return warning("sessions", found, advice)
    return ok("sessions", "none waits for a worker")


def _all(connection: Connection, query: Query) -> list[tuple[Any, ...]]:
    return psycopg.RawCursor(connection).execute(query.text, query.parameters({})).fetchall()


def _one(connection: Connection, query: Query) -> Any:
    return _all(connection, query)[0][0]
