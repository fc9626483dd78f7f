"""What can be done about access: members and tokens. Each owns its transaction.

Which role may what is in `domain/access.py`; who calls is found in `authentication.py`.
"""

from collections.abc import Sequence
from contextlib import suppress
from time import time
from typing import Any

from google.protobuf.empty_pb2 import Empty
from kintsugi.v1 import access_service_pb2 as service
from kintsugi.v1 import access_token_pb2 as token_pb
from kintsugi.v1 import member_pb2 as pb
from kintsugi.v1.member_pb2 import Role

from server.domain.access import MANAGE_TOKENS, Membership, common_role, may_give
from server.domain.access_tokens import digest, new_token
from server.domain.call import Call, current_call, entered
from server.domain.errors import (
    AlreadyExists,
    IllegalTransition,
    InvalidFields,
    PermissionLacking,
    RoleTooHigh,
)
from server.domain.ids import new_id
from server.domain.names import AccessTokenName, MemberName, UserName, WorkspaceName
from server.domain.timestamps import to_datetime
from server.resources.access_token import ACCESS_TOKEN
from server.resources.collection import Collection
from server.resources.member import MEMBER
from server.store.access import (
    ANY_OWNER,
    LOCK_WORKSPACE,
    MEMBER_ROLE,
    REVOKE_ALL,
    create_member_statement,
    create_token_statement,
)
from server.store.changes import change_parameters, once
from server.store.connection import Transaction
from server.store.errors import Duplicate
from server.store.store import Store

Members = Collection[pb.Member, MemberName]
AccessTokens = Collection[token_pb.AccessToken, AccessTokenName]

_CREATE_MEMBER = create_member_statement(MEMBER.columns)
_CREATE_TOKEN = create_token_statement(ACCESS_TOKEN.columns)


def create_member(members: Members, request: service.CreateMemberRequest) -> pb.Member:
    """Makes a user a member. Raises AlreadyExists, RoleTooHigh."""
    parent = WorkspaceName.parse(request.parent)
    name = _new_member_name(parent, request.member_id)
    _check_gives(parent, request.member.role)
    store = members.store
    workspace = store.workspace_key(parent)
    row = {
        "workspace": workspace,
        "id": name.id,
        "title": request.member.title,
        "role": request.member.role,
    }

    def work() -> pb.Member:
        recording = change_parameters(request, f"{parent}/members")
        [created] = store.database.all(_CREATE_MEMBER, row | recording)
        return MEMBER.read(pb.Member, str(parent), created)

    def repeat(names: Sequence[str]) -> pb.Member:
        return members.get(MemberName.parse(names[0]))

    try:
        return once(store, workspace, request, work, repeat)
    except Duplicate as error:
        raise AlreadyExists(name) from error


def update_member(members: Members, request: service.UpdateMemberRequest) -> pb.Member:
    """Changes a member. Raises RoleTooHigh, and IllegalTransition where no owner would be left."""
    name = MemberName.parse(request.member.name)

    def check(transaction: Transaction, before: pb.Member, after: pb.Member) -> list[str]:
        if before.role != after.role:
            _check_gives(name.parent, before.role)
            _check_gives(name.parent, after.role)
            _check_owned(members, transaction, name)
        return []

    return members.update(name, request.member, request, also=check)


def delete_member(members: Members, request: service.DeleteMemberRequest) -> Empty:
    """Removes a member, and revokes their tokens here. Raises as `update_member` does."""
    name = MemberName.parse(request.name)

    def check(transaction: Transaction, before: pb.Member) -> None:
        _check_gives(name.parent, before.role)
        _check_owned(members, transaction, name)
        recording = change_parameters(request, f"{name.parent}/accessTokens", is_first=False)
        key = {"workspace": members.store.workspace_key(name.parent), "id": name.id}
        transaction.all(REVOKE_ALL, key | recording)

    members.delete(name, request, request.etag, check)
    return Empty()


def create_token(
    tokens: AccessTokens, request: service.CreateAccessTokenRequest
) -> service.CreateAccessTokenResponse:
    """Makes a token. Raises PermissionLacking, RoleTooHigh."""
    parent = WorkspaceName.parse(request.parent)
    wanted = request.access_token
    principal = UserName.parse(wanted.principal or current_call().principal)
    _check_gives(parent, wanted.role)
    _check_token(parent, principal, wanted)
    store = tokens.store
    workspace = store.workspace_key(parent)
    secret = new_token()

    def work() -> service.CreateAccessTokenResponse:
        with store.database.transaction() as transaction:
            _check_principal(transaction, workspace, principal, wanted.role)
            recording = change_parameters(request, f"{parent}/accessTokens")
            row = _token_row(workspace, principal, wanted, secret)
            [created] = transaction.all(_CREATE_TOKEN, row | recording)
        known = ACCESS_TOKEN.read(token_pb.AccessToken, str(parent), created)
        return service.CreateAccessTokenResponse(access_token=known, token=secret)

    def repeat(names: Sequence[str]) -> service.CreateAccessTokenResponse:
        known = tokens.get(AccessTokenName.parse(names[0]))
        return service.CreateAccessTokenResponse(access_token=known)

    return once(store, workspace, request, work, repeat)


def revoke_token(
    tokens: AccessTokens, request: service.RevokeAccessTokenRequest
) -> token_pb.AccessToken:
    """Makes a token useless for good. Raises RoleTooHigh."""
    name = AccessTokenName.parse(request.name)

    def revoke(token: token_pb.AccessToken) -> None:
        _check_gives(name.parent, token.role)
        if not token.HasField("revoke_time"):
            token.revoke_time.GetCurrentTime()  # the database says when

    return tokens.change(name, request, "", revoke)


def owner_token(store: Store, workspace: WorkspaceName, user: str, title: str) -> str:
    """A new token of an owner, whom it makes one: for whoever has the database itself.

    Raises InvalidFields where the user is a member and no owner.
    """
    own = Membership(store.workspace_key(workspace), frozenset(), pb.ROLE_OWNER)
    call = Call(
        "kintsugi token",
        f"users/{user}",
        None,
        memberships={str(workspace): own},
        is_everywhere=True,
    )
    member = service.CreateMemberRequest(parent=str(workspace), member_id=user)
    member.member.role = pb.ROLE_OWNER
    token = service.CreateAccessTokenRequest(parent=str(workspace))
    token.access_token.title, token.access_token.role = title, pb.ROLE_OWNER
    token.access_token.all_workspaces = True
    with entered(call):
        with suppress(AlreadyExists):
            create_member(Collection(store, MEMBER), member)
        return create_token(Collection(store, ACCESS_TOKEN), token).token


def _own(parent: WorkspaceName) -> Membership:
    return current_call().memberships[str(parent)]


def _check_gives(parent: WorkspaceName, role: Role.ValueType) -> None:
    own = _own(parent).role
    if not may_give(role, own):
        names = Role.Name(own), Role.Name(role)
        raise RoleTooHigh(
            f"{current_call().principal} is {names[0]} here: not enough for {names[1]}"
        )


def _new_member_name(parent: WorkspaceName, id: str) -> MemberName:
    try:
        return MemberName.parse(f"{parent}/members/{id}")
    except InvalidFields:
        what = "must be of letters, digits and `_.~@+-`, and not begin with one of `.~@+-`"
        raise InvalidFields([("member_id", what)]) from None


def _check_owned(members: Members, transaction: Transaction, name: MemberName) -> None:
    key = {"workspace": members.store.workspace_key(name.parent)}
    transaction.one(LOCK_WORKSPACE, key)
    if transaction.one(ANY_OWNER, key) is None:
        raise IllegalTransition(f"{name.parent} would have no owner").about(name)


def _check_token(parent: WorkspaceName, principal: UserName, wanted: token_pb.AccessToken) -> None:
    if wanted.HasField("expire_time") and wanted.expire_time.ToMicroseconds() <= time() * 1e6:
        raise InvalidFields([("access_token.expire_time", "must lie ahead")])
    call = current_call()
    if str(principal) != call.principal and MANAGE_TOKENS not in _own(parent).permissions:
        raise PermissionLacking(call.principal, MANAGE_TOKENS)
    is_own_owner = str(principal) == call.principal and _own(parent).role == pb.ROLE_OWNER
    if wanted.all_workspaces and not (is_own_owner and call.is_everywhere):
        raise RoleTooHigh(
            "a token for all workspaces can be made only by an owner, for themselves, with one"
            " that is good for all of theirs"
        )


def _check_principal(
    transaction: Transaction, workspace: str, principal: UserName, role: Role.ValueType
) -> None:
    row = transaction.one(MEMBER_ROLE, {"workspace": workspace, "id": principal.user})
    if row is None:
        raise InvalidFields([("access_token.principal", f"{principal} is no member here")])
    if common_role(role, row[0]) != role:
        what = f"is above that of {principal}, which is {Role.Name(row[0])}"
        raise InvalidFields([("access_token.role", what)])


def _token_row(
    workspace: str, principal: UserName, wanted: token_pb.AccessToken, secret: str
) -> dict[str, Any]:
    expire_time = wanted.expire_time.ToMicroseconds() if wanted.HasField("expire_time") else None
    return {
        "workspace": workspace,
        "id": new_id(),
        "digest": digest(secret),
        "principal": principal.user,
        "title": wanted.title,
        "role": wanted.role,
        "all_workspaces": wanted.all_workspaces,
        "expire_time": None if expire_time is None else to_datetime(expire_time),
    }
