"""Exceptions as a busy workspace has them, any number, made by COPY.

Two years of them, whatever the number; of each size a filter matches the same share.
"""

import psycopg

from bench.stage import settle
from server.store.migrate import migrate

_COPIED = """
    workspace, id, automation, run, start_byte, end_byte, message, execution_id, stage, identity,
    state, description, "group", assignee, extra, create_time, update_time, last_occurrence_time
"""
_MADE = """
    SELECT
        uid, lpad(to_hex(n), 28, '0'),
        CASE WHEN get_byte(dice, 0) < 20 THEN 'my-automation-id'
            ELSE 'automation-' || (get_byte(dice, 1) * get_byte(dice, 2)) / 512 END,
        'run' || n / 20 || '_id', get_byte(dice, 3), get_byte(dice, 3) + 90,
        (ARRAY['KeyError', 'ValueError', 'timeout', 'connection refused', 'permission denied',
            'disk full', 'TypeError', 'UnicodeDecodeError', 'HTTP 502', 'assertion failed']
        )[1 + get_byte(dice, 4) %% 10] || ': ' || encode(substr(dice, 20, 8), 'base64')
            || ' in row ' || n
            || CASE WHEN n %% (rows / 60) = 1 THEN ' of the zeppelin' ELSE '' END,
        'exec-' || n, 1 + get_byte(dice, 5) %% 2, dice,
        CASE WHEN get_byte(dice, 6) < 26 THEN 1 WHEN get_byte(dice, 6) < 240 THEN 2 ELSE 3 END,
        'Row ' || n || ' has no total.',
        CASE WHEN get_byte(dice, 7) < 100 THEN '' WHEN get_byte(dice, 7) < 180 THEN 'missing_values'
            WHEN get_byte(dice, 7) < 230 THEN 'user_system_error' ELSE 'internal_error' END,
        'users/person-' || get_byte(dice, 8) %% 20,
        jsonb_build_object('exit_code', '1', 'host', 'worker-' || get_byte(dice, 9) %% 50),
        made, made, made
    FROM (
        SELECT n, rows, sha256(n::text::bytea) AS dice,
            '2024-07-01Z'::timestamptz + n * (interval '730 days' / rows) AS made
        FROM (VALUES (%(rows)s)) AS given (rows), generate_series(1, rows) AS n
    ) AS thrown, workspaces
    WHERE organization = 'local' AND id = 'default'
"""
_INDEXES = """
    SELECT indexname, indexdef FROM pg_indexes
    WHERE tablename = 'exceptions' AND indexname <> 'exceptions_pkey'
"""


def fill(url: str, rows: int) -> None:
    """Makes the tables and fills them: the rows by COPY, then the indexes, which is quicker."""
    migrate(url)
    with psycopg.connect(url, autocommit=True) as connection, psycopg.connect(url) as source:
        connection.execute("SET maintenance_work_mem = '1GB'")
        indexes = connection.execute(_INDEXES).fetchall()
        for name, _ in indexes:
            connection.execute(f"DROP INDEX {name}")
        with (
            source.cursor().copy(f"COPY ({_MADE}) TO STDOUT", {"rows": rows}) as made,
            connection.cursor().copy(f"COPY exceptions ({_COPIED}) FROM STDIN") as copied,
        ):
            for block in made:
                copied.write(block)
        for _, definition in indexes:
            connection.execute(definition)
        settle(connection)
