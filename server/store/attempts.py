"""The SQL of the attempts at actions: each is written before anything is sent, and ended after.

All times are the database's.
"""

from typing import Any, NamedTuple

from sqlalchemy import text

from server.store.connection import Transaction
from server.store.query import Query

_BEGIN = Query(
    text(
        """
        INSERT INTO action_attempts (
            workspace, session, action, number, lease, send_time, not_after
        )
        SELECT CAST(:workspace AS uuid), CAST(:session AS text), CAST(:action AS text),
            coalesce(max(number), 0) + 1, CAST(:lease AS uuid),
            begun.time, begun.time + make_interval(secs => :seconds)
        FROM (SELECT clock_timestamp()) AS begun (time)
        LEFT JOIN action_attempts
            ON workspace = :workspace AND session = :session AND action = :action
        GROUP BY begun.time
        RETURNING number
        """
    )
)
_END = Query(
    text(
        """
        UPDATE action_attempts SET end_time = clock_timestamp(), outcome = :outcome
        WHERE workspace = :workspace AND session = :session AND action = :action
            AND end_time IS NULL
        RETURNING number
        """
    )
)
_LAST = Query(
    text(
        """
        SELECT number, end_time IS NOT NULL, seconds_left, first_send_time, never_left,
            was_cut_off, claim,
            CAST(extract(epoch FROM claim_until - clock_timestamp()) AS double precision)
        FROM (
            SELECT number, end_time,
                CAST(extract(epoch FROM not_after - clock_timestamp()) AS double precision)
                    AS seconds_left,
                CAST(extract(epoch FROM min(send_time) OVER ()) * 1000000 AS bigint)
                    AS first_send_time,
                bool_and(coalesce(outcome IN ('unsent', 'refused'), false)) OVER ()
                    AS never_left,
                coalesce(bool_or(outcome = 'cut off') OVER (), false) AS was_cut_off
            FROM action_attempts
            WHERE workspace = :workspace AND session = :session AND action = :action
            ORDER BY number DESC LIMIT 1
        ) AS last
        JOIN actions ON workspace = :workspace AND session = :session AND id = :action
        """
    )
)


class Attempt(NamedTuple):
    """The last attempt at an action, and who has claimed the action.

    `seconds_left` until whoever sends it has given up, negative when that is over;
    `first_send_time` of all of them, in microseconds since 1970, `never_left` where all of them
    were unsent or refused, and `was_cut_off` where one of them was; `claim` is empty, and
    `claimed_for` None, where nobody has; otherwise these are the seconds that it is held for.
    """

    number: int
    has_ended: bool
    seconds_left: float
    first_send_time: int
    never_left: bool
    was_cut_off: bool
    claim: str
    claimed_for: float | None

    @property
    def claim_left(self) -> float:
        """Seconds in which it may still be claimed, or, when it is, ended by who has."""
        return self.seconds_left if self.claimed_for is None else self.claimed_for


def begin(transaction: Transaction, key: dict[str, Any], lease: str, seconds: float) -> int:
    """Writes the next attempt at an action, which ends for certain within `seconds`; answers its
    number."""
    [[number]] = transaction.all(_BEGIN, key | {"lease": lease, "seconds": seconds})
    return int(number)


def end(transaction: Transaction, key: dict[str, Any], outcome: str) -> None:
    """Ends the attempt at an action that hasn't ended, if there is one; `outcome` is `succeeded`,
    `failed`, `unsent` or `refused` (certainly nothing left here), or `cut off`."""
    transaction.all(_END, key | {"outcome": outcome})


def last(transaction: Transaction, key: dict[str, Any]) -> Attempt | None:
    """The last attempt at an action; None before the first."""
    row = transaction.one(_LAST, key)
    return None if row is None else Attempt(*row)


def key_of(workspace: str, session: str, action: str) -> dict[str, Any]:
    """What names an action here: the workspace's uid, and ids."""
    return {"workspace": workspace, "session": session, "action": action}
