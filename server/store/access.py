"""The SQL that only access needs: finding a caller by its token, making members and tokens.

What the roles in it mean is said in `domain/access.py`.
"""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Integer,
    LargeBinary,
    Text,
    and_,
    bindparam,
    case,
    func,
    insert,
    literal_column,
    or_,
    select,
    update,
)
from sqlalchemy.dialects.postgresql import UUID

from server.store.changes import recorded
from server.store.query import Query
from server.store.statements import read_columns
from server.store.tables import access_tokens, members, workspaces

OWNER = literal_column("5", Integer)
"""The number of ROLE_OWNER."""

_USED: ColumnElement[Any] = literal_column("interval '1 minute'")
"""How exact `last_use_time` is, so that a token in use isn't written for every call."""

_MEMBER = ("workspace", "id", "title", "role")
_TOKEN = (
    *("workspace", "id", "digest", "principal", "title", "role", "all_workspaces"),
    "expire_time",
)

_tokens = access_tokens.c
_good_for = or_(_tokens.all_workspaces, members.c.workspace == _tokens.workspace)

CALLER = Query(
    select(
        _tokens.workspace,
        _tokens.id,
        _tokens.principal,
        _tokens.role,
        case(
            (_tokens.revoked, literal_column("'was revoked'")),
            (_tokens.expire_time <= func.clock_timestamp(), literal_column("'has expired'")),
            else_=literal_column("''"),
        ),
        or_(
            _tokens.last_use_time.is_(None),
            _tokens.last_use_time < func.clock_timestamp() - _USED,
        ),
        _tokens.all_workspaces,
        workspaces.c.uid,
        workspaces.c.organization,
        workspaces.c.id,
        workspaces.c.features,
        members.c.role,
    )
    .outerjoin(members, and_(members.c.id == _tokens.principal, _good_for))
    .outerjoin(workspaces, workspaces.c.uid == members.c.workspace)
    .where(_tokens.digest == bindparam("digest", type_=LargeBinary))
)
"""The token with a digest, and a row for each workspace that it is good for, if only an empty one.

The token's workspace, id, principal and role; what is wrong with it; whether its last use is to be
noted; whether it is good for all. Then the workspace's uid, organization, id and features, and the
principal's role there.
"""

MEMBERSHIPS = Query(
    select(
        workspaces.c.uid,
        workspaces.c.organization,
        workspaces.c.id,
        workspaces.c.features,
        members.c.role,
    )
    .join(workspaces, workspaces.c.uid == members.c.workspace)
    .where(members.c.id == bindparam("id", type_=Text))
)
"""A row for each workspace that a user is a member of, with what CALLER's rows end in."""

TOKEN_USED = Query(
    update(access_tokens)
    .where(
        _tokens.workspace == bindparam("workspace", type_=UUID(as_uuid=False)),
        _tokens.id == bindparam("id", type_=Text),
    )
    .values(last_use_time=func.clock_timestamp())
    .returning(_tokens.id)
)

LOCK_WORKSPACE = Query(
    select(workspaces.c.uid).where(workspaces.c.uid == bindparam("workspace")).with_for_update()
)
"""Taken before owners are counted, so that of two who would both leave none, the second sees it."""

ANY_OWNER = Query(
    select(members.c.id)
    .where(members.c.workspace == bindparam("workspace"), members.c.role == OWNER)
    .limit(1)
)

MEMBER_ROLE = Query(
    select(members.c.role).where(
        members.c.workspace == bindparam("workspace"), members.c.id == bindparam("id")
    )
)


def _revoke_all() -> Query:
    statement = (
        update(access_tokens)
        .where(
            _tokens.workspace == bindparam("workspace", type_=UUID(as_uuid=False)),
            _tokens.principal == bindparam("id", type_=Text),
            ~_tokens.revoked,
            ~_tokens.all_workspaces,
        )
        .values(revoked=True, version=_tokens.version + 1, update_time=func.clock_timestamp())
    )
    before = func.jsonb_build_object("revoked", literal_column("false"))
    row, change = recorded(statement, "workspace", before=lambda _: before)
    return Query(select(row.c.id).add_cte(change))


REVOKE_ALL = _revoke_all()
"""Revokes the tokens of a principal that are good for one workspace alone. Recorded."""


def create_member_statement(columns: Sequence[str]) -> Query:
    """Inserts a member and answers its row. Recorded."""
    statement = insert(members).values({name: bindparam(name) for name in _MEMBER})
    row, change = recorded(statement, "workspace")
    return Query(select(*read_columns(row, columns)).add_cte(change))


def create_token_statement(columns: Sequence[str]) -> Query:
    """Inserts a token and answers its row. Recorded."""
    statement = insert(access_tokens).values({name: bindparam(name) for name in _TOKEN})
    row, change = recorded(statement, "workspace")
    return Query(select(*read_columns(row, columns)).add_cte(change))
