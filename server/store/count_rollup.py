"""The upkeep of the counts: folding deltas into the rollup, comparing both with the exceptions.

What appends deltas, and how a count is read, is in `store/counts.py`.
"""

from sqlalchemy import bindparam, text

from server.store.connection import Database, Row, connect_apart
from server.store.query import Query

BATCH = 10_000
"""How many deltas one transaction folds."""

_LOCK = 0x636F756E7473  # "counts": one at a time folds, of all processes
_CHECK_LOCK = 0x636865636B  # "check": and one at a time compares

_TRY_LOCK = Query(text("SELECT pg_try_advisory_xact_lock(:lock)").bindparams(bindparam("lock")))

_FOLD = Query(
    text(
        """
        WITH chosen AS MATERIALIZED (
            SELECT workspace, id FROM exception_count_deltas LIMIT :batch
        ), taken AS (
            DELETE FROM exception_count_deltas delta USING chosen
            WHERE delta.workspace = chosen.workspace AND delta.id = chosen.id
            RETURNING delta.*
        ), added_days AS (
            SELECT workspace, day, state, sum(n) AS n FROM taken GROUP BY workspace, day, state
        ), folded_days AS (
            MERGE INTO exception_day_counts AS counts USING added_days AS added
            ON counts.workspace = added.workspace AND counts.day = added.day
                AND counts.state = added.state
            WHEN MATCHED AND counts.n + added.n = 0 THEN DELETE
            WHEN MATCHED THEN UPDATE SET n = counts.n + added.n
            WHEN NOT MATCHED AND added.n <> 0 THEN
                INSERT (workspace, day, state, n)
                VALUES (added.workspace, added.day, added.state, added.n)
            RETURNING counts.n
        ), added AS (
            SELECT workspace, automation, "group", state, stage, sum(n) AS n
            FROM taken
            GROUP BY workspace, automation, "group", state, stage
        ), folded AS (
            MERGE INTO exception_counts AS counts USING added
            ON counts.workspace = added.workspace AND counts.automation = added.automation
                AND counts."group" = added."group" AND counts.state = added.state
                AND counts.stage = added.stage
            WHEN MATCHED AND counts.n + added.n = 0 THEN DELETE
            WHEN MATCHED THEN UPDATE SET n = counts.n + added.n
            WHEN NOT MATCHED AND added.n <> 0 THEN
                INSERT (workspace, automation, "group", state, stage, n)
                VALUES (added.workspace, added.automation, added."group", added.state,
                    added.stage, added.n)
            RETURNING counts.n
        )
        SELECT count(*) FROM taken
        """
    ).bindparams(bindparam("batch"))
)

_KIND_DIFFERENCES = Query(
    text(
        """
        SELECT workspace, automation, "group", state, stage,
            coalesce(counted.n, 0), coalesce(found.n, 0)
        FROM (
            SELECT workspace, automation, "group", state, stage, sum(n)::bigint AS n
            FROM (
                SELECT workspace, automation, "group", state, stage, n FROM exception_counts
                UNION ALL
                SELECT workspace, automation, "group", state, stage, n
                FROM exception_count_deltas
            ) AS both_tables
            GROUP BY workspace, automation, "group", state, stage
        ) AS counted
        FULL JOIN (
            SELECT workspace, automation, "group", state, stage, count(*) AS n
            FROM exceptions
            GROUP BY workspace, automation, "group", state, stage
        ) AS found
        USING (workspace, automation, "group", state, stage)
        WHERE coalesce(counted.n, 0) <> coalesce(found.n, 0)
        """
    )
)


_DAY_DIFFERENCES = Query(
    text(
        """
        SELECT workspace, day, state, coalesce(counted.n, 0), coalesce(found.n, 0)
        FROM (
            SELECT workspace, day, state, sum(n)::bigint AS n
            FROM (
                SELECT workspace, day, state, n FROM exception_day_counts
                UNION ALL
                SELECT workspace, day, state, n FROM exception_count_deltas
            ) AS both_tables
            GROUP BY workspace, day, state
        ) AS counted
        FULL JOIN (
            SELECT workspace, floor(extract(epoch FROM create_time) / 86400)::integer AS day,
                state, count(*) AS n
            FROM exceptions
            GROUP BY workspace, 2, state
        ) AS found
        USING (workspace, day, state)
        WHERE coalesce(counted.n, 0) <> coalesce(found.n, 0)
        """
    )
)

DIFFERENCES = (_KIND_DIFFERENCES, _DAY_DIFFERENCES)

_RECOUNT = """
    INSERT INTO exception_counts
    SELECT workspace, automation, "group", state, stage, count(*)
    FROM exceptions
    GROUP BY workspace, automation, "group", state, stage
"""

_RECOUNT_DAYS = """
    INSERT INTO exception_day_counts
    SELECT workspace, floor(extract(epoch FROM create_time) / 86400)::integer, state, count(*)
    FROM exceptions
    GROUP BY 1, 2, 3
"""


def fold(database: Database, batch: int = BATCH) -> int:
    """Folds up to `batch` deltas into the rollup; answers how many.

    Does nothing while another process does it. No writer is waited for, and none waits.
    """
    with database.transaction() as transaction:
        [[is_ours]] = transaction.all(_TRY_LOCK, {"lock": _LOCK})
        return transaction.all(_FOLD, {"batch": batch})[0][0] if is_ours else 0


def differences(database: Database) -> list[Row]:
    """What is counted wrong: workspace, the four dimensions, the count, the true number.

    Then, by days: workspace, day, state, the count, the true number. Each reads every exception, at
    one moment, whatever is changed meanwhile.
    """
    return [row for query in DIFFERENCES for row in database.all(query, {})]


def checked(database: Database) -> int | None:
    """How many kinds and days are counted wrong; None while another process looks."""
    with database.transaction() as transaction:
        [[is_ours]] = transaction.all(_TRY_LOCK, {"lock": _CHECK_LOCK})
        if not is_ours:
            return None
        return sum(len(transaction.all(query, {})) for query in DIFFERENCES)


def recount(url: str) -> int:
    """Counts all exceptions anew, and answers how many kinds there are.

    Whoever raises or changes one meanwhile waits. Raises psycopg.Error.
    """
    with connect_apart(url) as connection, connection.transaction():
        connection.execute(f"SELECT pg_advisory_xact_lock({_LOCK})")
        # Deltas come with changes of exceptions, in one statement: now none is on its way.
        connection.execute("LOCK TABLE exceptions IN SHARE ROW EXCLUSIVE MODE")
        connection.execute("DELETE FROM exception_count_deltas")
        connection.execute("DELETE FROM exception_counts")
        connection.execute("DELETE FROM exception_day_counts")
        connection.execute(_RECOUNT_DAYS)
        return connection.execute(_RECOUNT).rowcount
