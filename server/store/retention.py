"""Deleting what is old or done with: changes, events, versions of guide entries, steps; in batches.

What is old is said by the database's clock. How long things are kept is not known here.
"""

from typing import Any, NamedTuple

from sqlalchemy import text

from server.store.connection import Database, Transaction
from server.store.query import Query

BATCH = 1000
"""How many rows one transaction deletes; events, of each of THREADS threads."""

_THREADS = 100
_LOCK = 0x7072756E65  # "prune": one process at a time

_TRY_LOCK = Query(text(f"SELECT pg_try_advisory_xact_lock({_LOCK})"))
_WORKSPACES = Query(text("SELECT CAST(uid AS text) FROM workspaces ORDER BY uid"))
_HORIZON = Query(
    text(
        """
        SELECT epoch, CAST(xid AS text), change
        FROM (
          SELECT max(epoch) AS epoch, pg_snapshot_xmin(pg_current_snapshot()) AS xid, 0 AS change
          FROM clusters
          UNION ALL
          SELECT coalesce(max(epoch), 0), coalesce(max(xid), '0'), coalesce(max(change) + 1, 0)
          FROM (
            SELECT epoch, xid, change FROM audit_seals
            WHERE workspace = :workspace ORDER BY id DESC LIMIT 1
          ) AS sealed
        ) AS floors
        ORDER BY floors.epoch, floors.xid, floors.change LIMIT 1
        """
    )
)

_OLD = "clock_timestamp() - make_interval(secs => :days * 86400.0)"  # a day here has 24 hours

_CHANGES = Query(
    text(
        f"""
        WITH first AS (
          SELECT epoch, xid, id, create_time FROM changes
          WHERE workspace = :workspace AND (epoch, xid, id) < (:epoch, CAST(:xid AS xid8), :change)
          ORDER BY epoch, xid, id LIMIT {BATCH}
        ), judged AS (
          SELECT epoch, xid, id,
            bool_and(create_time < {_OLD}) OVER (ORDER BY epoch, xid, id) AS is_old
          FROM first
        ), gone AS (
          DELETE FROM changes USING judged
          WHERE changes.workspace = :workspace AND changes.id = judged.id AND judged.is_old
          RETURNING changes.epoch, changes.xid, changes.id
        ), pruned AS (
          INSERT INTO pruned_changes (workspace, epoch, xid, id)
          SELECT CAST(:workspace AS uuid), epoch, xid, id FROM gone
          ORDER BY epoch DESC, xid DESC, id DESC LIMIT 1
          ON CONFLICT (workspace) DO UPDATE
            SET epoch = excluded.epoch, xid = excluded.xid, id = excluded.id
        )
        SELECT count(*) FROM gone
        """
    )
)
_EVENTS = Query(
    text(
        f"""
        WITH due AS MATERIALIZED (
          SELECT t.workspace, t.id, t.pruned_through FROM threads t
          WHERE (t.workspace, t.id) > (CAST(:workspace AS uuid), :thread) AND (
            SELECT e.update_time FROM events e
            WHERE e.workspace = t.workspace AND e.thread = t.id AND e.completed > t.pruned_through
            ORDER BY e.completed LIMIT 1
          ) < {_OLD}
          ORDER BY t.workspace, t.id LIMIT {_THREADS} FOR UPDATE SKIP LOCKED
        ), old AS (
          SELECT oldest.* FROM due CROSS JOIN LATERAL (
            SELECT e.workspace, e.thread, e.id, e.completed, e.update_time FROM events e
            WHERE e.workspace = due.workspace AND e.thread = due.id
              AND e.completed > due.pruned_through
            ORDER BY e.completed LIMIT {BATCH}
          ) AS oldest
          WHERE oldest.update_time < {_OLD}
        ), gone AS (
          DELETE FROM events e USING old
          WHERE (e.workspace, e.thread, e.id) = (old.workspace, old.thread, old.id)
          RETURNING e.workspace, e.thread, e.completed
        ), moved AS (
          UPDATE threads t SET pruned_through = pruned.through
          FROM (
            SELECT workspace, thread, max(completed) AS through FROM gone GROUP BY workspace, thread
          ) AS pruned
          WHERE (t.workspace, t.id) = (pruned.workspace, pruned.thread)
        )
        SELECT CAST(workspace AS text), thread, count(*) FROM gone
        GROUP BY workspace, thread ORDER BY gone.workspace DESC, thread DESC
        """
    )
)
_REVISIONS = Query(
    text(
        f"""
        WITH old AS (
          SELECT r.workspace, r.id, r.major, r.minor
          FROM guide_entry_revisions r JOIN guide_entries g USING (workspace, id)
          WHERE r.update_time < {_OLD} AND (r.major, r.minor) <> (g.major, g.minor)
            AND (r.major, r.minor) <> (g.approved, 0)
          LIMIT {BATCH}
        ), gone AS (
          DELETE FROM guide_entry_revisions r USING old
          WHERE (r.workspace, r.id, r.major, r.minor)
            = (old.workspace, old.id, old.major, old.minor)
          RETURNING 1
        )
        SELECT count(*) FROM gone
        """
    )
)
_STEPS = Query(
    text(
        f"""
        WITH looked AS MATERIALIZED (
          SELECT workspace, session, key FROM session_steps
          WHERE (workspace, session, key) > (CAST(:workspace AS uuid), :session, :key)
          ORDER BY workspace, session, key LIMIT {BATCH}
        ), gone AS (
          DELETE FROM session_steps s USING looked JOIN agent_sessions a
            ON (a.workspace, a.id) = (looked.workspace, looked.session)
          WHERE (s.workspace, s.session, s.key) = (looked.workspace, looked.session, looked.key)
            AND a.state > 4 AND a.due_time IS NULL
          RETURNING 1
        )
        SELECT (SELECT count(*) FROM gone), CAST(last.workspace AS text), last.session, last.key
        FROM (VALUES (0)) AS always LEFT JOIN LATERAL (
          SELECT * FROM looked ORDER BY workspace, session, key OFFSET {BATCH} - 1
        ) AS last ON true
        """
    )
)
"""Of a session that is final, and has nothing under way, nobody asks any more what is done."""


class Step(NamedTuple):
    """A step, in the order of its table."""

    workspace: str
    session: str
    key: str


class Place(NamedTuple):
    """A thread, in the order of its table."""

    workspace: str
    thread: int


BEGINNING = Place("00000000-0000-0000-0000-000000000000", 0)
FIRST_STEP = Step("00000000-0000-0000-0000-000000000000", "", "")


def prunable_below(transaction: Transaction, workspace: str) -> dict[str, Any]:
    """The epoch, xid and id up to which every follower may have read the changes, and the audit
    has sealed them."""
    [floor] = transaction.all(_HORIZON, {"workspace": workspace})
    return dict(zip(("epoch", "xid", "change"), floor, strict=True))


def workspaces(database: Database) -> list[str]:
    """The uids of all."""
    return [uid for [uid] in database.all(_WORKSPACES, {})]


def prune_changes(database: Database, workspace: str, days: int) -> int:
    """Deletes the first changes of a workspace, up to one that is younger; answers how many.

    Cursors from before the last of them have expired. Does nothing while another process prunes.
    """
    with database.transaction() as transaction:
        if not _is_ours(transaction):
            return 0
        floor = prunable_below(transaction, workspace)
        given = {"workspace": workspace, "days": days, **floor}
        return int(transaction.all(_CHANGES, given)[0][0])


def prune_events(database: Database, after: Place, days: int) -> tuple[int, Place, bool]:
    """Deletes the first whole events of some threads behind a place, likewise.

    Answers how many, the last of the threads, and whether one may have more of them. A thread that
    somebody writes to at the moment is left out.
    """
    with database.transaction() as transaction:
        if not _is_ours(transaction):
            return 0, after, False
        rows = transaction.all(_EVENTS, {**after._asdict(), "days": days})
    counts: list[Any] = [count for _, _, count in rows]
    last = Place(*rows[0][:2]) if rows else after
    return sum(counts), last, max(counts, default=0) == BATCH


def prune_revisions(database: Database, days: int) -> int:
    """Deletes old versions of guide entries that are neither the newest nor in use."""
    with database.transaction() as transaction:
        if not _is_ours(transaction):
            return 0
        return int(transaction.all(_REVISIONS, {"days": days})[0][0])


def prune_steps(database: Database, after: Step) -> tuple[int, Step | None]:
    """Deletes those of final sessions among the next steps behind a place.

    Answers how many, and where to go on, None at the end.
    """
    with database.transaction() as transaction:
        if not _is_ours(transaction):
            return 0, None
        [[count, *last]] = transaction.all(_STEPS, after._asdict())
    return int(count), Step(*last) if last[0] else None


def _is_ours(transaction: Transaction) -> bool:
    return bool(transaction.all(_TRY_LOCK, {})[0][0])
