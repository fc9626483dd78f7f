"""The SQL that only workspaces need: creating one.

What their columns mean is said in `resources/workspace.py`.
"""

from collections.abc import Collection
from typing import Any

from sqlalchemy import ColumnElement, bindparam, insert

from server.store.query import Query
from server.store.tables import workspaces

NAME_INDEX = "workspaces_name"


def create_statement(columns: Collection[ColumnElement[Any]]) -> Query:
    """Inserts a workspace and answers its row."""
    written = ("uid", "organization", "id", "title", "features")
    statement = insert(workspaces).values({name: bindparam(name) for name in written})
    return Query(statement.returning(*columns))
