"""The SQL of a session's journal: which steps are done, and what came of each.

A step is written in the transaction that tells it, under the session's lease.
"""

from typing import Any

from sqlalchemy import text

from server.store.connection import Database, Transaction
from server.store.query import Query

_DONE = Query(
    text("SELECT key, result FROM session_steps WHERE workspace = :workspace AND session = :id")
)
_ADD = Query(
    text(
        """
        INSERT INTO session_steps (workspace, session, key, result)
        VALUES (:workspace, :id, :key, CAST(:result AS jsonb))
        RETURNING key
        """
    )
)

_FORGET = Query(
    text("DELETE FROM session_steps WHERE workspace = :workspace AND session = :id RETURNING key")
)


def done(database: Database, workspace: str, session: str) -> dict[str, Any]:
    """The results of the steps that are done, by their keys."""
    return dict(database.all(_DONE, {"workspace": workspace, "id": session}))


def add(transaction: Transaction, workspace: str, session: str, key: str, result: str) -> None:
    """Notes that a step is done; `result` is JSON."""
    given = {"workspace": workspace, "id": session, "key": key, "result": result}
    transaction.one(_ADD, given)


def forget(transaction: Transaction, workspace: str, session: str) -> None:
    """What was done is of no use any more."""
    transaction.all(_FORGET, {"workspace": workspace, "id": session})
