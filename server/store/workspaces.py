"""The SQL that only workspaces need: creating one.

What their columns mean is said in `resources/workspace.py`.
"""

from collections.abc import Sequence

from sqlalchemy import Text, bindparam, func, insert, literal_column, select
from sqlalchemy.dialects.postgresql import ARRAY

from server.domain.exception_groups import GROUPS
from server.store.access import OWNER
from server.store.changes import recorded
from server.store.query import Query
from server.store.statements import read_columns
from server.store.tables import exception_groups, members, workspaces


def create_statement(columns: Sequence[str]) -> Query:
    """Inserts a workspace with its groups and its owner, and answers its row. Recorded."""
    written = ("uid", "organization", "id", "title", "features")
    statement = insert(workspaces).values({name: bindparam(name) for name in written})
    row, change = recorded(statement, "uid")
    ids = func.unnest(bindparam("groups", list(GROUPS), type_=ARRAY(Text)))
    groups = insert(exception_groups).from_select(["workspace", "id"], select(row.c.uid, ids))
    owner = insert(members).from_select(
        ["workspace", "id", "title", "role"],
        select(row.c.uid, bindparam("owner", type_=Text), literal_column("''"), OWNER),
    )
    beside = (change, groups.cte("groups"), owner.cte("owner"))
    return Query(select(*read_columns(row, columns)).add_cte(*beside))
