"""The SQL of events while they are generated: begin, add chunks, make whole, find orphans.

When what is to be done is not known here. Whatever changes an event holds the lock of its thread.
"""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from sqlalchemy import bindparam, func, select, text
from sqlalchemy.dialects.postgresql import insert

from server.store.changes import recorded
from server.store.connection import Database, Row, Transaction
from server.store.query import Query
from server.store.tables import threads


class Key(NamedTuple):
    """The key of an event: its workspace's uid, its thread's id, the sequence it began at."""

    workspace: str
    thread: int
    event: int


class Thread(NamedTuple):
    """A thread, and what its table calls it."""

    workspace: str
    id: int
    name: str


class Piece(NamedTuple):
    """What is to be written of an event.

    `text` is what it grew by, or, where it is made whole, all of it; None: what was written so
    far. `details` is its content without the text; None: as it was.
    """

    key: Key
    text: str | None
    details: bytes | None = None


BEGIN = Query(
    text(
        """
        WITH thread AS (
          INSERT INTO threads (workspace, name, last) VALUES (:workspace, :thread_name, 1)
          ON CONFLICT (workspace, name) DO UPDATE SET last = threads.last + 1,
            last_time = greatest(clock_timestamp(), threads.last_time)
          RETURNING workspace, id, last, last_time
        )
        INSERT INTO events
          (workspace, thread, id, state, kind, exception, text, details, create_time, update_time)
        SELECT workspace, id, last, 1, :kind, :exception, :text, :details, last_time, last_time
        FROM thread
        RETURNING CAST(workspace AS text), thread, id
        """
    )
)
"""Begins an event with the next sequence of its thread; answers its key."""

_LOCK = Query(
    text(
        """
        SELECT id FROM threads
        WHERE (workspace, id) IN (
          SELECT * FROM unnest(CAST(:workspaces AS uuid[]), CAST(:threads AS bigint[]))
        )
        ORDER BY workspace, name FOR UPDATE
        """
    )
)
_LENGTHS = Query(
    text(
        """
        SELECT CAST(e.workspace AS text), e.thread, e.id, length(e.text) + coalesce((
          SELECT sum(length(c.text)) FROM event_chunks c
          WHERE (c.workspace, c.thread, c.event) = (e.workspace, e.thread, e.id)
            AND c.sequence > e.id
        ), 0)
        FROM unnest(
          CAST(:workspaces AS uuid[]), CAST(:threads AS bigint[]), CAST(:events AS bigint[])
        ) AS given (workspace, thread, id)
        JOIN events e USING (workspace, thread, id)
        """
    )
)
_ADD = Query(
    text(
        """
        WITH touched AS (
          UPDATE events e SET update_time = greatest(clock_timestamp(), e.update_time)
          FROM unnest(
            CAST(:workspaces AS uuid[]), CAST(:threads AS bigint[]), CAST(:events AS bigint[]),
            CAST(:texts AS text[])
          ) AS given (workspace, thread, id, text)
          WHERE (e.workspace, e.thread, e.id) = (given.workspace, given.thread, given.id)
            AND e.state = 1
          RETURNING e.workspace, e.thread, e.id, given.text
        ), chunk AS (
          INSERT INTO event_chunks (workspace, thread, sequence, event, text)
          SELECT g.workspace, g.thread,
            t.last + row_number() OVER (PARTITION BY g.workspace, g.thread ORDER BY g.id),
            g.id, g.text
          FROM touched g JOIN threads t ON (t.workspace, t.id) = (g.workspace, g.thread)
          WHERE g.text <> ''
          RETURNING workspace, thread, sequence
        ), moved AS (
          UPDATE threads t SET last = new.last,
            last_time = greatest(clock_timestamp(), t.last_time)
          FROM (
            SELECT workspace, thread, max(sequence) AS last FROM chunk GROUP BY workspace, thread
          ) AS new
          WHERE (t.workspace, t.id) = (new.workspace, new.thread)
        )
        SELECT CAST(workspace AS text), thread, id FROM touched
        """
    )
)
_COMPLETE = Query(
    text(
        """
        WITH given AS (
          SELECT g.*,
            t.last + row_number() OVER (PARTITION BY g.workspace, g.thread ORDER BY g.id)
              AS sequence
          FROM unnest(
            CAST(:workspaces AS uuid[]), CAST(:threads AS bigint[]), CAST(:events AS bigint[]),
            CAST(:texts AS text[]), CAST(:details AS bytea[])
          ) AS g (workspace, thread, id, text, details)
          JOIN events e USING (workspace, thread, id)
          JOIN threads t ON (t.workspace, t.id) = (g.workspace, g.thread)
          WHERE e.state = 1
        ), chunk AS (
          DELETE FROM event_chunks c USING given g
          WHERE (c.workspace, c.thread, c.event) = (g.workspace, g.thread, g.id)
            AND c.sequence > g.id
          RETURNING c.*
        ), written AS (
          SELECT workspace, thread, event AS id, string_agg(text, '' ORDER BY sequence) AS text
          FROM chunk GROUP BY workspace, thread, event
        ), moved AS (
          UPDATE threads t SET last = new.last,
            last_time = greatest(clock_timestamp(), t.last_time)
          FROM (
            SELECT workspace, thread, max(sequence) AS last FROM given GROUP BY workspace, thread
          ) AS new
          WHERE (t.workspace, t.id) = (new.workspace, new.thread)
          RETURNING t.workspace, t.id AS thread, t.last_time
        )
        UPDATE events e SET state = 2, completed = g.sequence,
          text = coalesce(g.text, e.text || coalesce(written.text, '')),
          details = coalesce(g.details, e.details),
          update_time = m.last_time
        FROM given g
        JOIN moved m USING (workspace, thread)
        LEFT JOIN written USING (workspace, thread, id)
        WHERE (e.workspace, e.thread, e.id) = (g.workspace, g.thread, g.id)
        RETURNING CAST(e.workspace AS text), e.thread, e.id
        """
    )
)
_STOPPED = Query(
    text(
        """
        SELECT CAST(e.workspace AS text), e.thread, e.id
        FROM unnest(
          CAST(:workspaces AS uuid[]), CAST(:threads AS bigint[]), CAST(:events AS bigint[])
        ) AS given (workspace, thread, id)
        JOIN events e USING (workspace, thread, id)
        JOIN threads t ON (t.workspace, t.id) = (e.workspace, e.thread)
        WHERE t.cancelled_through >= e.id OR e.state <> 1
        """
    )
)
_LOCK_ORPHANED = Query(
    text(
        """
        SELECT CAST(t.workspace AS text), t.id, t.name
        FROM threads t JOIN (
          SELECT DISTINCT workspace, thread AS id FROM events
          WHERE state = 1 AND update_time < clock_timestamp() - make_interval(secs => :silence)
        ) AS silent USING (workspace, id)
        ORDER BY t.workspace, t.name LIMIT 100 FOR UPDATE OF t SKIP LOCKED
        """
    )
)
_ORPHANS = Query(
    text(
        """
        SELECT CAST(workspace AS text), thread, id FROM events
        WHERE state = 1
          AND greatest(update_time, pg_postmaster_start_time())
            < clock_timestamp() - make_interval(secs => :silence)
          AND (workspace, thread) IN (
            SELECT * FROM unnest(CAST(:workspaces AS uuid[]), CAST(:threads AS bigint[]))
          )
        """
    )
)
IS_STREAMING = Query(
    text(
        """
        SELECT 1 FROM events e JOIN threads t ON (t.workspace, t.id) = (e.workspace, e.thread)
        WHERE t.workspace = :workspace AND t.name = :thread_name AND e.state = 1
        LIMIT 1
        """
    )
)
"""A row, if anything is being generated in a thread."""


def cancel_statement() -> Query:
    """Asks the writers of all that has begun in a thread to stop; answers the thread's id.

    Recorded: the resource is what the thread belongs to.
    """
    statement = insert(threads).values(
        workspace=bindparam("workspace"), name=bindparam("thread_name"), last=0
    )
    statement = statement.on_conflict_do_update(
        index_elements=["workspace", "name"], set_={"cancelled_through": threads.c.last}
    )
    row, change = recorded(
        statement,
        "workspace",
        before=lambda _: func.jsonb_build_object(),
        id="name",
    )
    return Query(select(row.c.id).add_cte(change))


def lock(transaction: Transaction, keys: Iterable[Key]) -> None:
    """Locks the events' threads, in the order in which everybody does."""
    transaction.all(_LOCK, _columns(keys))


def lengths(transaction: Transaction, keys: Iterable[Key]) -> dict[Key, int]:
    """How many characters of the events' texts are written."""
    rows = transaction.all(_LENGTHS, _columns(keys))
    return {Key(*key): int(length) for *key, length in rows}


def add(transaction: Transaction, pieces: Sequence[Piece]) -> set[Key]:
    """Adds what events grew by, if only to show that they are alive; answers which still are."""
    if not pieces:
        return set()
    return _keys(transaction.all(_ADD, _columns(piece.key for piece in pieces) | _texts(pieces)))


def complete(transaction: Transaction, pieces: Sequence[Piece]) -> set[Key]:
    """Makes events whole, in their order; answers which weren't yet."""
    if not pieces:
        return set()
    details = {"details": [piece.details for piece in pieces]}
    columns = _columns(piece.key for piece in pieces)
    return _keys(transaction.all(_COMPLETE, columns | _texts(pieces) | details))


def stopped(database: Database, keys: Iterable[Key]) -> set[Key]:
    """Which of the events are whole, or not to be generated any further."""
    return _keys(database.all(_STOPPED, _columns(keys)))


def lock_orphaned(transaction: Transaction, silence: float) -> list[Thread]:
    """Locks up to 100 threads that may have orphans; those that somebody has locked don't count."""
    return [Thread(*row) for row in transaction.all(_LOCK_ORPHANED, {"silence": silence})]


def complete_orphans(
    transaction: Transaction, threads: Iterable[Thread], silence: float
) -> set[Key]:
    """Makes whole, with what was written, what no writer touched for `silence` seconds.

    A database that was away for a while doesn't count against the writers.
    """
    given = {
        "workspaces": [thread.workspace for thread in threads],
        "threads": [thread.id for thread in threads],
        "silence": silence,
    }
    orphans = sorted(_keys(transaction.all(_ORPHANS, given)))
    return complete(transaction, [Piece(key, None) for key in orphans])


def _columns(keys: Iterable[Key]) -> dict[str, Any]:
    workspaces, thread_ids, events = zip(*keys, strict=True)
    return {"workspaces": list(workspaces), "threads": list(thread_ids), "events": list(events)}


def _texts(pieces: Sequence[Piece]) -> dict[str, Any]:
    return {"texts": [piece.text for piece in pieces]}


def _keys(rows: Iterable[Row]) -> set[Key]:
    return {Key(*row) for row in rows}
