"""The store: a database, what is known by heart about it, and who tells that it changed.

Statements about one resource are made from its declaration, not here.
"""

from sqlalchemy import bindparam, select

from server.domain.errors import NotFound
from server.domain.names import WorkspaceName
from server.store.connection import Database
from server.store.notifier import Notifier
from server.store.query import Query
from server.store.tables import workspaces

_WORKSPACE = Query(
    select(workspaces.c.uid).where(
        workspaces.c.organization == bindparam("organization"), workspaces.c.id == bindparam("id")
    )
)


class Store:
    """A database whose workspaces are looked up once: they are never renamed or deleted."""

    def __init__(self, database: Database, notifier: Notifier) -> None:
        self.database = database
        self.notifier = notifier
        self._keys: dict[WorkspaceName, str] = {}

    def workspace_key(self, name: WorkspaceName) -> str:
        """The uid that all rows of the workspace carry. Raises NotFound."""
        key = self._keys.get(name)
        if key is None:
            key = self._keys[name] = self._look_up(name)
        return key

    def _look_up(self, name: WorkspaceName) -> str:
        row = self.database.one(_WORKSPACE, {"organization": name.organization, "id": name.id})
        if row is None:
            raise NotFound(name)
        return str(row[0])
