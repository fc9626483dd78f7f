"""The SQL that only connectors need: creating one, and finding those of action types.

What their columns mean is said in `resources/connector.py`.
"""

from collections.abc import Sequence

from sqlalchemy import BindParameter, bindparam, func, insert, select

from server.store.changes import recorded
from server.store.query import Query
from server.store.statements import read_columns
from server.store.tables import connectors

ACTION_TYPE_INDEX = "connectors_action_type"
"""It refuses a second connector of a type."""

_WRITTEN = (
    *("workspace", "id", "action_type", "title", "description", "expected_outcome", "risk"),
    *("http", "revision"),
)


def create_statement(columns: Sequence[str]) -> Query:
    """Inserts a connector and answers its row. Recorded."""
    statement = insert(connectors).values({name: _bound(name) for name in _WRITTEN})
    row, change = recorded(statement, "workspace")
    return Query(select(*read_columns(row, columns)).add_cte(change))


def of_types_statement(columns: Sequence[str]) -> Query:
    """The connectors of a `workspace` for the action types `types`."""
    c = connectors.c
    return Query(
        select(*read_columns(connectors, columns)).where(
            c.workspace == bindparam("workspace"), c.action_type == func.any(bindparam("types"))
        )
    )


def _bound(name: str) -> BindParameter[object]:
    return bindparam(name, type_=connectors.c[name].type)
