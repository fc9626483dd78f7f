"""The SQL that only workspaces need: creating one.

What their columns mean is said in `resources/workspace.py`.
"""

from collections.abc import Sequence

from sqlalchemy import bindparam, insert, null, select

from server.store.changes import recorded
from server.store.query import Query
from server.store.statements import read_columns
from server.store.tables import workspaces


def create_statement(columns: Sequence[str]) -> Query:
    """Inserts a workspace and answers its row. Recorded."""
    written = ("uid", "organization", "id", "title", "features")
    statement = insert(workspaces).values({name: bindparam(name) for name in written})
    row, change = recorded(statement, "uid", before=lambda _: null())
    return Query(select(*read_columns(row, columns)).add_cte(change))
