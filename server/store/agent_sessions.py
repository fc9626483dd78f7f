"""The SQL that only agent sessions need: starting one, and when a worker has to look at it.

What their columns mean is said in `resources/agent_session.py`; who works on one, in `leases.py`.
"""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import BindParameter, Double, bindparam, func, insert, select, text

from server.store.changes import recorded
from server.store.query import Query
from server.store.statements import read_columns
from server.store.tables import ACTIVE_SESSION, agent_sessions

ACTIVE_INDEX = "agent_sessions_active"

_WRITTEN = (
    *("workspace", "id", "kind", "state", "exception", "automation", "run", "signal"),
    *("title", "context", "agent", "creator", "start"),
)
_OF_AN_INVESTIGATION = {"kind": 1, "state": 1, "title": "", "context": b""}
"""What needn't be given."""

_c = agent_sessions.c

ACTIVE = Query(
    select(_c.id).where(
        _c.workspace == bindparam("workspace"),
        _c.exception == bindparam("exception"),
        ACTIVE_SESSION,
    )
)
"""The session of an `exception` that isn't final."""

NOW = Query(text("SELECT CAST(extract(epoch FROM clock_timestamp()) * 1000000 AS bigint)"))
"""The database's time, in microseconds since 1970."""

_ONE = "WHERE workspace = :workspace AND id = :id RETURNING id"

TO_WORK = Query(
    text(
        f"""
        UPDATE agent_sessions
        SET due_time = clock_timestamp(),
            note = coalesce(CAST(:note AS text), note)
        {_ONE}
        """
    )
)
"""A worker has to look at the session now; a `note` that is NULL leaves the one there is."""

LET_GO = Query(
    text(
        f"""
        UPDATE agent_sessions
        SET due_time = CASE WHEN :is_busy THEN clock_timestamp() END
        {_ONE}
        """
    )
)
"""No worker has to look at the session any more, unless an action of it is still EXECUTING: then
at once, as between two attempts there is nothing to wait for."""

DUE_WITH_CLAIM = Query(
    text(
        """
        UPDATE agent_sessions SET due_time = actions.claim_until
        FROM actions
        WHERE agent_sessions.workspace = :workspace AND agent_sessions.id = :session
            AND actions.workspace = :workspace AND actions.session = :session AND actions.id = :id
        RETURNING agent_sessions.id
        """
    )
)
"""A worker has to look at the session when the claim of the action `id` is over."""


def create_statement(columns: Sequence[str]) -> Query:
    """Inserts a session and answers its row. Recorded.

    It is due at once, or, with `patience` in seconds, when that is over, which is when it expires.
    """
    patience = bindparam("patience", type_=Double)
    expire_time = func.clock_timestamp() + func.make_interval(0, 0, 0, 0, 0, 0, patience)
    values: dict[str, Any] = {name: _given(name) for name in _WRITTEN}
    values["expire_time"] = expire_time
    values["due_time"] = func.coalesce(expire_time, func.clock_timestamp())
    statement = insert(agent_sessions).values(values)
    row, change = recorded(statement, "workspace")
    return Query(select(*read_columns(row, columns)).add_cte(change))


def _given(name: str) -> BindParameter[Any]:
    kind = _c[name].type
    if name in _OF_AN_INVESTIGATION:
        return bindparam(name, _OF_AN_INVESTIGATION[name], type_=kind)
    return bindparam(name, type_=kind)
