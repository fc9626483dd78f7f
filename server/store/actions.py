"""The SQL that only actions need: proposing them, reading a session's in order, claiming one.

What their columns mean is said in `resources/action.py`.
"""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import bindparam, func, insert, literal_column, select, text

from server.store.changes import recorded
from server.store.query import Query
from server.store.statements import read_columns
from server.store.tables import actions

_WRITTEN = (
    *("workspace", "session", "id", "exception", "action_type", "automated", "risk"),
    *("state_reason", "connector", "connector_revision", "guide_entry", "replaces", "digest"),
    "content",
)

_ONE = "workspace = :workspace AND session = :session AND id = :id"

CLAIMED_BY = Query(text(f"SELECT claim, claim_until < clock_timestamp() FROM actions WHERE {_ONE}"))
"""The claim id of the action `id`, empty before there is one, and whether its time is over."""

CLAIM = Query(
    text(
        f"""
        UPDATE actions SET claim = :claim_id, claim_until = clock_timestamp() + interval '60 s'
        WHERE {_ONE} RETURNING id
        """
    )
)
"""The action `id` is the claim id's for a minute from now."""


def insert_statement(columns: Sequence[str]) -> Query:
    """Inserts an action, behind those that its session has, and answers its row. Recorded."""
    c = actions.c
    values: dict[str, Any] = {name: bindparam(name, type_=c[name].type) for name in _WRITTEN}
    last = select(func.coalesce(func.max(c.position), literal_column("0"))).where(
        c.workspace == values["workspace"], c.session == values["session"]
    )
    values["position"] = last.scalar_subquery() + literal_column("1")
    row, change = recorded(insert(actions).values(values), "workspace")
    return Query(select(*read_columns(row, columns)).add_cte(change))


def of_earlier_sessions_statement(columns: Sequence[str]) -> Query:
    """The actions in one of `states` of an `exception`, but for those of the `session`; oldest
    first."""
    c = actions.c
    rows = select(*read_columns(actions, columns)).where(
        c.workspace == bindparam("workspace"),
        c.exception == bindparam("exception"),
        c.session != bindparam("session"),
        c.state == func.any(bindparam("states")),
    )
    return Query(rows.order_by(c.create_time, c.id))


def of_session_statement(columns: Sequence[str], *, locked: bool) -> Query:
    """All actions of a `session`, in the order in which they were proposed, and locked."""
    c = actions.c
    rows = select(*read_columns(actions, columns)).where(
        c.workspace == bindparam("workspace"), c.session == bindparam("session")
    )
    rows = rows.order_by(c.position)
    return Query(rows.with_for_update() if locked else rows)
