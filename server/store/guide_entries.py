"""The SQL that only guide entries need: creating and drafting one, and keeping its versions.

What their columns mean is said in `resources/guide_entry.py`.
"""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import (
    BindParameter,
    Integer,
    Label,
    Select,
    Text,
    and_,
    bindparam,
    exists,
    func,
    insert,
    literal_column,
    not_,
    or_,
    select,
    update,
)
from sqlalchemy.dialects import postgresql

from server.store.changes import recorded
from server.store.query import Query
from server.store.statements import read_columns
from server.store.tables import exceptions, guide_entries, guide_entry_revisions

_PENDING, _APPROVED = 1, 2
"""The numbers of STATE_PENDING_APPROVAL and STATE_APPROVED."""

_WRITTEN = (
    *("workspace", "id", "automation", "source_exception", "source_run"),
    *("title", "root_cause", "content"),
    *("resolution_steps", "resolution_code", "resolution_notes"),
    *("action_type", "action_parameters", "action_risk", "self_resolving", "fingerprint"),
    *("state", "major", "minor"),
)


def create_statement(columns: Sequence[str]) -> Query:
    """Inserts a guide entry and answers its row. Recorded."""
    return _insert(select(*_given()), columns)


def draft_statement(columns: Sequence[str]) -> Query:
    """The same, unless a pending or approved entry of the automation says it already: the very same
    steps, and the same action if one is given."""
    c = guide_entries.c
    twin = exists().where(
        c.workspace == _bound("workspace"),
        c.automation == _bound("automation"),
        c.state.in_([literal_column(str(_PENDING)), literal_column(str(_APPROVED))]),
        not_(c.deleted),
        c.resolution_steps == _bound("resolution_steps"),
        or_(
            _bound("action_type") == literal_column("''"),
            and_(*(c[name] == _bound(name) for name in ("action_type", "action_parameters"))),
        ),
    )
    return _insert(select(*_given()).where(~twin), columns)


def _keep_revision() -> Query:
    names = [column.key for column in guide_entry_revisions.c]
    newest = select(*(guide_entries.c[name] for name in names)).where(
        guide_entries.c.workspace == bindparam("workspace", type_=postgresql.UUID(as_uuid=False)),
        guide_entries.c.id == bindparam("id", type_=Text),
    )
    statement = postgresql.insert(guide_entry_revisions).from_select(names, newest)
    replaced = {name: statement.excluded[name] for name in ("state", "update_time")}
    return Query(
        statement.on_conflict_do_update(
            index_elements=["workspace", "id", "major", "minor"], set_=replaced
        ).returning(guide_entry_revisions.c.id)
    )


KEEP_REVISION = _keep_revision()
"""Writes the version that an entry, of a `workspace` and `id`, is in now; answers the id."""


MESSAGE = Query(
    select(exceptions.c.message).where(
        exceptions.c.workspace == bindparam("workspace", type_=postgresql.UUID(as_uuid=False)),
        exceptions.c.id == bindparam("exception", type_=Text),
    )
)
"""What an exception, of a `workspace` and id, says."""


LEARN = Query(
    update(guide_entries)
    .values(fingerprint=bindparam("fingerprint"))
    .where(
        guide_entries.c.workspace == bindparam("workspace", type_=postgresql.UUID(as_uuid=False)),
        guide_entries.c.id == bindparam("id", type_=Text),
    )
    .returning(guide_entries.c.id)
)
"""Writes the `fingerprint` of what an entry was learned from; answers its id."""


SEE = Query(
    update(guide_entries)
    .values(
        connector=bindparam("connector", type_=Text),
        connector_revision=bindparam("connector_revision", type_=Integer),
    )
    .where(
        guide_entries.c.workspace == bindparam("workspace", type_=postgresql.UUID(as_uuid=False)),
        guide_entries.c.id == bindparam("id", type_=Text),
    )
    .returning(guide_entries.c.id)
)
"""Writes which `connector`, of an id and a revision, the approver of an entry saw; answers the
entry's id."""


OWN_WORDS = Query(
    select(
        func.left(
            func.coalesce(
                func.nullif(guide_entry_revisions.c.resolution_steps, literal_column("''")),
                guide_entry_revisions.c.title,
            ),
            literal_column("4000"),
        )
    )
    .select_from(guide_entries)
    .join(
        guide_entry_revisions,
        and_(
            guide_entry_revisions.c.workspace == guide_entries.c.workspace,
            guide_entry_revisions.c.id == guide_entries.c.id,
            guide_entry_revisions.c.major == guide_entries.c.approved,
            guide_entry_revisions.c.minor == literal_column("0"),
        ),
    )
    .where(
        guide_entries.c.workspace == bindparam("workspace", type_=postgresql.UUID(as_uuid=False)),
        guide_entries.c.id == bindparam("id", type_=Text),
    )
)
"""What the version in use of an entry says is to be done, or its title: at most 4000 characters."""


def _given() -> list[Label[Any]]:
    return [_bound(name).label(name) for name in _WRITTEN]


def _bound(name: str) -> BindParameter[Any]:
    return bindparam(name, type_=guide_entries.c[name].type)


def _insert(given: Select[Any], columns: Sequence[str]) -> Query:
    statement = insert(guide_entries).from_select(list(_WRITTEN), given)
    row, change = recorded(statement, "workspace")
    return Query(select(*read_columns(row, columns)).add_cte(change))
