"""The SQL of who works on which agent session: taking those that are due, renewing, releasing.

All times are the database's. What is done under a lease is said elsewhere.
"""

from collections.abc import Collection, Mapping
from typing import NamedTuple

from sqlalchemy import text

from server.domain.names import AgentSessionName
from server.store.connection import Database, Transaction
from server.store.query import Query

_DUE = """due_time <= statement_timestamp()
    AND (lease_until IS NULL OR lease_until <= statement_timestamp())"""

_AHEAD = 200
"""How many of the longest due sessions are looked at to find workspaces that have some."""

_FURTHER = 100
"""How many workspaces are looked at beside theirs, when there are more due sessions than that."""

_CANDIDATES = f"""oldest AS MATERIALIZED (
    SELECT workspace FROM agent_sessions WHERE {_DUE} ORDER BY due_time LIMIT {_AHEAD}
), stepped (workspace) AS (
    SELECT gen_random_uuid()
    UNION
    SELECT coalesce(
        (
            SELECT next.workspace FROM agent_sessions AS next
            WHERE next.due_time IS NOT NULL AND next.workspace > stepped.workspace
            ORDER BY next.workspace LIMIT 1
        ),
        (SELECT workspace FROM agent_sessions WHERE due_time IS NOT NULL ORDER BY workspace LIMIT 1)
    )
    FROM stepped
), candidates AS (
    SELECT workspace FROM oldest
    UNION
    (
        SELECT workspace FROM stepped
        WHERE (SELECT count(*) FROM oldest) = {_AHEAD} LIMIT {_FURTHER + 1}
    )
)"""
"""Workspaces that may have due sessions: all that have, as long as few are due.

Else those of the longest due ones, and some others from a random one on, each found by one step in
the index: whoever has many due sessions keeps nobody else's from their turn.
"""

_TAKE = Query(
    text(
        f"""
        WITH RECURSIVE {_CANDIDATES}, due AS (
            SELECT found.workspace, found.id, found.due_time, coalesce(held.n, 0)
                + row_number() OVER (PARTITION BY found.workspace ORDER BY found.due_time) AS turn
            FROM candidates
            CROSS JOIN LATERAL (
                SELECT workspace, id, due_time FROM agent_sessions
                WHERE workspace = candidates.workspace AND {_DUE}
                ORDER BY due_time LIMIT :most
                FOR UPDATE SKIP LOCKED
            ) AS found
            LEFT JOIN unnest(CAST(:workspaces AS uuid[]), CAST(:counts AS integer[]))
                AS held (workspace, n) ON held.workspace = found.workspace
        ), chosen AS (
            SELECT workspace, id FROM due WHERE turn <= :share ORDER BY turn, due_time LIMIT :most
        )
        UPDATE agent_sessions AS session
        SET lease = gen_random_uuid(),
            lease_until = clock_timestamp() + make_interval(secs => :seconds),
            attempts = least(session.attempts + 1, 32767)
        FROM chosen JOIN workspaces ON workspaces.uid = chosen.workspace
        WHERE session.workspace = chosen.workspace AND session.id = chosen.id
        RETURNING session.workspace::text, workspaces.organization, workspaces.id, session.id,
            session.lease::text, session.agent
        """
    )
)

_HELD = """unnest(
    CAST(:workspaces AS uuid[]), CAST(:ids AS text[]), CAST(:leases AS uuid[])
) AS held (workspace, id, lease) USING (workspace, id, lease)"""

_RENEW = Query(
    text(
        f"""
        WITH free AS (
            SELECT workspace, id FROM agent_sessions JOIN {_HELD}
            ORDER BY workspace, id FOR UPDATE OF agent_sessions SKIP LOCKED
        ), renewed AS (
            UPDATE agent_sessions AS session
            SET lease_until = clock_timestamp() + make_interval(secs => :seconds)
            FROM free WHERE session.workspace = free.workspace AND session.id = free.id
        )
        SELECT lease::text, state FROM agent_sessions JOIN {_HELD}
        """
    )
)

_FENCE = Query(
    text(
        """
        SELECT CAST(extract(epoch FROM clock_timestamp()) * 1000000 AS bigint), attempts, note,
            CAST(extract(epoch FROM expire_time - clock_timestamp()) AS double precision),
            CAST(extract(epoch FROM analyse_until - clock_timestamp()) AS double precision)
        FROM agent_sessions
        WHERE workspace = :workspace AND id = :id AND lease = CAST(:lease AS uuid)
        FOR UPDATE
        """
    )
)

_SCHEDULE = Query(
    text(
        """
        UPDATE agent_sessions
        SET due_time = clock_timestamp()
                + make_interval(secs => CAST(:seconds AS double precision)),
            lease = CASE WHEN :keeps THEN lease END,
            lease_until = CASE WHEN :keeps THEN lease_until END,
            attempts = 0
        WHERE workspace = :workspace AND id = :id AND lease = CAST(:lease AS uuid)
        RETURNING id
        """
    )
)

_LIMIT_ANALYSIS = Query(
    text(
        """
        UPDATE agent_sessions
        SET analyse_until = clock_timestamp() + make_interval(secs => :seconds)
        WHERE workspace = :workspace AND id = :id AND lease = CAST(:lease AS uuid)
        RETURNING id
        """
    )
)

_PUT_BACK = Query(
    text(
        """
        UPDATE agent_sessions
        SET due_time = clock_timestamp()
                + make_interval(secs => least(:seconds * power(2, attempts), 60)),
            attempts = CASE WHEN :counts THEN attempts ELSE greatest(attempts - 1, 0) END,
            lease = NULL, lease_until = NULL
        WHERE workspace = :workspace AND id = :id AND lease = CAST(:lease AS uuid)
        RETURNING id
        """
    )
)

_SLICE = 2000
"""How many open sessions a sweep looks at: some 5 ms, where they are in memory."""

_WAKE_WITHDRAWN = Query(
    text(
        f"""
        WITH looked AS MATERIALIZED (
            SELECT workspace, id, exception FROM agent_sessions
            WHERE state <= 4 AND exception <> ''
                AND (workspace, exception) > (CAST(:workspace AS uuid), CAST(:exception AS text))
            ORDER BY workspace, exception LIMIT {_SLICE}
        ), withdrawn AS (
            SELECT waiting.workspace, waiting.id
            FROM looked
            CROSS JOIN LATERAL (
                SELECT state FROM exceptions
                WHERE workspace = looked.workspace AND id = looked.exception OFFSET 0
            ) AS about
            JOIN agent_sessions AS waiting ON waiting.workspace = looked.workspace
                AND waiting.id = looked.id
            WHERE about.state <> 1 AND waiting.state <= 4 AND waiting.expire_time IS NOT NULL
                AND waiting.due_time > statement_timestamp()
            LIMIT {_SLICE}
            FOR UPDATE OF waiting SKIP LOCKED
        ), woken AS (
            UPDATE agent_sessions AS session SET due_time = clock_timestamp()
            FROM withdrawn
            WHERE session.workspace = withdrawn.workspace AND session.id = withdrawn.id
            RETURNING session.id
        )
        SELECT (SELECT count(*) FROM woken), CAST(last.workspace AS text), last.exception
        FROM (VALUES (0)) AS always LEFT JOIN LATERAL (
            SELECT workspace, exception FROM looked
            ORDER BY workspace, exception OFFSET {_SLICE} - 1
        ) AS last ON true
        """
    )
)

_QUEUED = Query(text(f"SELECT count(*) FROM agent_sessions WHERE {_DUE}"))
LEFT = Query(
    text(
        f"""
        SELECT count(*) FROM agent_sessions
        WHERE {_DUE} AND due_time < clock_timestamp() - interval '10 seconds'
        """
    )
)
"""How many sessions no worker has taken for long, though they are due."""


class LeaseLost(Exception):
    """Somebody else works on the session by now, or nobody is to; nothing may be done any more."""


class Lease(NamedTuple):
    """The right to work on a session. `workspace` is the uid, `token` what tells one from another;
    `agent` is the principal in whose name it is done."""

    workspace: str
    name: AgentSessionName
    token: str
    agent: str


class Held(NamedTuple):
    """What a session's row says that its message doesn't.

    `now` is the database's time in microseconds since 1970, `attempts` how often it was taken
    without getting anywhere, `note` that of who approved; `expires_in` is in seconds, None if
    never, and `analysis_left` what an analysis that has begun may still take.
    """

    now: int
    attempts: int
    note: str
    expires_in: float | None
    analysis_left: float | None


class Due(NamedTuple):
    """When a session has to be looked at again, in seconds from now; None is never.

    `keeps`: the lease is kept.
    """

    seconds: float | None
    keeps: bool = False


class Place(NamedTuple):
    """An open session, by its exception: the order in which they are looked at."""

    workspace: str
    exception: str


BEGINNING = Place("00000000-0000-0000-0000-000000000000", "")


def take(
    database: Database, seconds: float, most: int, share: int, running: Mapping[str, int]
) -> list[Lease]:
    """Leases at most `most` due sessions for `seconds`, in turn from each workspace.

    `running` is how many the worker has of each workspace, by uid; those with fewer come first,
    and none gets more than `share`.
    """
    given = {"seconds": seconds, "most": most, "share": share}
    held = {"workspaces": list(running), "counts": list(running.values())}
    return [
        Lease(uid, AgentSessionName(organization, workspace, id), token, agent)
        for uid, organization, workspace, id, token, agent in database.all(_TAKE, given | held)
    ]


def renew(database: Database, seconds: float, held: Collection[Lease]) -> dict[str, int]:
    """Renews leases that are still held; answers the states of their sessions, by token.

    One whose row somebody has locked right now isn't renewed, nor can anybody else take it.
    """
    given = {
        "seconds": seconds,
        "workspaces": [lease.workspace for lease in held],
        "ids": [lease.name.id for lease in held],
        "leases": [lease.token for lease in held],
    }
    return {str(token): int(state) for token, state in database.all(_RENEW, given)}


def fence(transaction: Transaction, lease: Lease) -> Held:
    """Locks the session until the transaction ends. Raises LeaseLost."""
    row = transaction.one(_FENCE, _key(lease))
    if row is None:
        raise LeaseLost
    return Held(*row)


def schedule(transaction: Transaction, lease: Lease, due: Due) -> None:
    """Says when a session, which is locked, is due next: something was achieved."""
    transaction.one(_SCHEDULE, _key(lease) | due._asdict())


def limit_analysis(transaction: Transaction, lease: Lease, seconds: float) -> None:
    """From now on the analysis of a session, which is locked, may take so long in all."""
    transaction.one(_LIMIT_ANALYSIS, _key(lease) | {"seconds": seconds})


def put_back(database: Database, lease: Lease, seconds: float, *, counts: bool) -> None:
    """Gives up a lease; the session is due again after `seconds`, which double with each attempt,
    and at most a minute. `counts`: this was an attempt, which failed."""
    given = {"seconds": seconds, "counts": counts}
    database.one(_PUT_BACK, _key(lease) | given)


def wake_withdrawn(database: Database, after: Place) -> tuple[int, Place]:
    """Has workers look at sessions that wait for a person, and whose exception isn't PENDING any
    more, among the next open ones behind a place; answers how many, and where to go on.

    Locks no exception.
    """
    [[woken, *last]] = database.all(_WAKE_WITHDRAWN, after._asdict())
    return int(woken), Place(*last) if last[0] else BEGINNING


def queued(database: Database) -> int:
    """How many sessions are due and nobody's."""
    [[count]] = database.all(_QUEUED, {})
    return int(count)


def _key(lease: Lease) -> dict[str, object]:
    return {"workspace": lease.workspace, "id": lease.name.id, "lease": lease.token}
