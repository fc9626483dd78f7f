"""Who may do what: members, their roles, the tokens they call with, and how fast that changes."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import grpc
import psycopg
import pytest
from google.rpc import code_pb2
from kintsugi.v1 import access_service_pb2 as service
from kintsugi.v1 import access_token_pb2, workspace_service_pb2
from kintsugi.v1 import member_pb2 as pb
from kintsugi.v1.exception_service_pb2 import CreateExceptionRequest
from kintsugi.v1.member_pb2 import (
    ROLE_ADMIN,
    ROLE_APPROVER,
    ROLE_OWNER,
    ROLE_RESPONDER,
    ROLE_SERVICE,
    ROLE_VIEWER,
    Role,
)

from server.domain.access import PERMISSIONS, Membership
from server.domain.access_tokens import digest
from server.interceptors import ledger
from tests.belongings import fill
from tests.crossing import filled
from tests.integration import probe
from tests.integration.client import WORKSPACE, Client, new_exception, reason, violations
from tests.integration.conftest import StartServer
from tests.integration.following import new_thread, reading, stream, watch
from tests.integration.sessions import Worker
from tests.integration.waiting import until
from tests.served import METHODS, Names, Served

ROLES = [number for number in Role.values() if number]


def add(client: Client, id: str, role: int, parent: str = WORKSPACE, **fields: Any) -> pb.Member:
    member = pb.Member(role=role, title=fields.pop("title", ""))
    return client.access.CreateMember(
        service.CreateMemberRequest(parent=parent, member_id=id, member=member, **fields)
    )


def change(client: Client, id: str, parent: str = WORKSPACE, **fields: Any) -> pb.Member:
    member = pb.Member(name=f"{parent}/members/{id}", **fields)
    return client.access.UpdateMember(service.UpdateMemberRequest(member=member))


def remove(client: Client, id: str, parent: str = WORKSPACE, **fields: Any) -> None:
    request = service.DeleteMemberRequest(name=f"{parent}/members/{id}", **fields)
    client.access.DeleteMember(request)


def members(client: Client, parent: str = WORKSPACE, **fields: Any) -> dict[str, int]:
    answer = client.access.ListMembers(service.ListMembersRequest(parent=parent, **fields))
    return {each.principal.removeprefix("users/"): each.role for each in answer.members}


def make_token(
    client: Client, role: int, parent: str = WORKSPACE, request_id: str = "", **fields: Any
) -> service.CreateAccessTokenResponse:
    token = access_token_pb2.AccessToken(**({"title": "tests", "role": role} | fields))
    request = service.CreateAccessTokenRequest(
        parent=parent, access_token=token, request_id=request_id
    )
    return client.access.CreateAccessToken(request)


def revoke(client: Client, name: str, **fields: Any) -> access_token_pb2.AccessToken:
    return client.access.RevokeAccessToken(service.RevokeAccessTokenRequest(name=name, **fields))


def tokens(client: Client, **fields: Any) -> list[access_token_pb2.AccessToken]:
    request = service.ListAccessTokensRequest(parent=WORKSPACE, **fields)
    return list(client.access.ListAccessTokens(request).access_tokens)


def somebody(client: Client, id: str, role: int, **fields: Any) -> Client:
    """A new member who calls with a token of that role."""
    add(client, id, role)
    return Client(client.port, make_token(client, role, principal=f"users/{id}", **fields).token)


def refusal(call: Callable[[], Any]) -> grpc.RpcError:
    with pytest.raises(grpc.RpcError) as error:
        call()
    return error.value


def is_refused(client: Client, as_: str) -> bool:
    """Whether a read fails now, for that reason."""
    try:
        client.list()
    except grpc.RpcError as error:
        return reason(error) == as_
    return False


def test_members_are_made_read_listed_changed_and_removed(client: Client) -> None:
    made = add(client, "ada", ROLE_VIEWER, title="Ada")
    assert (made.name, made.principal) == (f"{WORKSPACE}/members/ada", "users/ada")
    assert client.access.GetMember(service.GetMemberRequest(name=made.name)) == made
    changed = change(client, "ada", role=ROLE_APPROVER, etag=made.etag)
    assert (changed.title, changed.role) == ("Ada", ROLE_APPROVER)
    assert members(client) == {"ada": ROLE_APPROVER, "local": ROLE_OWNER}
    assert members(client, filter="role = ROLE_OWNER") == {"local": ROLE_OWNER}
    stale = refusal(lambda: remove(client, "ada", etag=made.etag))
    assert stale.code() is grpc.StatusCode.ABORTED
    remove(client, "ada", etag=changed.etag)
    assert members(client) == {"local": ROLE_OWNER}
    assert reason(refusal(lambda: remove(client, "ada"))) == "RESOURCE_NOT_FOUND"


def test_a_member_that_is_added_again_has_none_of_the_old_tokens(client: Client) -> None:
    add(client, "ada", ROLE_VIEWER)
    old = make_token(client, ROLE_VIEWER, principal="users/ada")
    remove(client, "ada")
    add(client, "ada", ROLE_VIEWER)
    get = service.GetAccessTokenRequest(name=old.access_token.name)
    assert client.access.GetAccessToken(get).HasField("revoke_time")
    assert reason(refusal(Client(client.port, old.token).list)) == "CREDENTIALS_INVALID"


def test_a_member_is_made_once(client: Client) -> None:
    first = add(client, "ada", ROLE_VIEWER, request_id="r")
    assert add(client, "ada", ROLE_VIEWER, request_id="r") == first
    error = refusal(lambda: add(client, "ada", ROLE_OWNER))
    assert error.code() is grpc.StatusCode.ALREADY_EXISTS
    remove(client, "ada", request_id="d")
    remove(client, "ada", request_id="d")


@pytest.mark.parametrize("id", ["", "-", "a/b", "a b", ".a", "x" * 129, "é", "a\0"])
def test_an_id_that_no_name_has_is_refused(client: Client, id: str) -> None:
    assert list(violations(refusal(lambda: add(client, id, ROLE_VIEWER)))) == ["member_id"]


def test_nobody_gives_or_takes_a_role_above_their_own(client: Client) -> None:
    admin = somebody(client, "admin", ROLE_ADMIN)
    for role in ROLES:
        if role == ROLE_OWNER:
            assert reason(refusal(lambda: add(admin, "x", ROLE_OWNER))) == "PERMISSION_LACKING"
        else:
            add(admin, f"m{role}", role)
    assert reason(refusal(lambda: change(admin, "admin", role=ROLE_OWNER))) == "PERMISSION_LACKING"
    assert reason(refusal(lambda: change(admin, "local", role=ROLE_VIEWER))) == "PERMISSION_LACKING"
    assert reason(refusal(lambda: remove(admin, "local"))) == "PERMISSION_LACKING"
    assert members(client)["local"] == ROLE_OWNER


def test_an_owner_with_the_token_of_an_admin_is_an_admin(client: Client) -> None:
    weak = Client(client.port, make_token(client, ROLE_ADMIN).token)
    assert reason(refusal(lambda: add(weak, "x", ROLE_OWNER))) == "PERMISSION_LACKING"
    assert reason(refusal(lambda: make_token(weak, ROLE_OWNER))) == "PERMISSION_LACKING"


def test_the_last_owner_stays(client: Client) -> None:
    for call in (lambda: change(client, "local", role=ROLE_ADMIN), lambda: remove(client, "local")):
        assert reason(refusal(call)) == "ILLEGAL_TRANSITION"
    add(client, "ada", ROLE_OWNER)
    assert change(client, "local", role=ROLE_ADMIN).role == ROLE_ADMIN


def demote(client: Client, id: str, parent: str) -> None:
    change(client, id, parent, role=ROLE_VIEWER)


@pytest.mark.parametrize("dismiss", [demote, remove])
def test_of_two_owners_who_dismiss_each_other_at_once_one_stays(
    client: Client, dismiss: Callable[[Client, str, str], None]
) -> None:
    for number in range(10):
        parent = new_workspace(client, f"w{number}")
        add(client, "ada", ROLE_OWNER, parent)
        token = make_token(client, ROLE_OWNER, parent, principal="users/ada").token
        ada, both = Client(client.port, token), threading.Barrier(2)

        def is_done(by: Client, id: str, parent: str = parent, both: Any = both) -> bool:
            both.wait()
            try:
                dismiss(by, id, parent)
            except grpc.RpcError:
                return False
            return True

        with ThreadPoolExecutor(2) as pool:
            done = list(pool.map(is_done, (client, ada), ("ada", "local")))
        ada.channel.close()
        assert sum(done) == 1


def new_workspace(client: Client, id: str, request_id: str = "") -> str:
    request = workspace_service_pb2.CreateWorkspaceRequest(
        parent="organizations/local", workspace_id=id, workspace={}, request_id=request_id
    )
    return client.workspaces.CreateWorkspace(request).name


def test_a_token_calls_as_its_principal_with_its_role(client: Client) -> None:
    ada = somebody(client, "ada", ROLE_RESPONDER)
    name = ada.raise_one().name
    assert ada.resolve(name).resolver == "users/ada"
    weak = Client(client.port, make_token(ada, ROLE_VIEWER).token)
    assert weak.get(name).name == name
    assert reason(refusal(weak.raise_one)) == "PERMISSION_LACKING"


def test_a_token_may_not_more_than_its_principal_nor_than_who_makes_it(client: Client) -> None:
    admin = somebody(client, "admin", ROLE_ADMIN)
    add(client, "ada", ROLE_RESPONDER)
    for role in ROLES:
        if role > ROLE_RESPONDER:
            error = refusal(lambda role=role: make_token(client, role, principal="users/ada"))
            assert list(violations(error)) == ["access_token.role"]
    assert reason(refusal(lambda: make_token(admin, ROLE_OWNER))) == "PERMISSION_LACKING"
    for unknown in ("users/nobody", "users/bob"):
        error = refusal(lambda one=unknown: make_token(client, ROLE_VIEWER, principal=one))
        assert list(violations(error)) == ["access_token.principal"]


def test_tokens_of_others_take_a_permission_of_their_own(client: Client) -> None:
    add(client, "bob", ROLE_VIEWER)
    for role in (ROLE_VIEWER, ROLE_RESPONDER, ROLE_APPROVER):
        one = somebody(client, f"m{role}", role)
        error = refusal(lambda one=one: make_token(one, ROLE_VIEWER, principal="users/bob"))
        assert reason(error) == "PERMISSION_LACKING"
    admin = somebody(client, "admin", ROLE_ADMIN)
    made = make_token(admin, ROLE_VIEWER, principal="users/bob")
    assert made.access_token.principal == "users/bob"


def test_a_token_for_all_workspaces_is_an_owners_own(client: Client) -> None:
    everywhere = make_token(client, ROLE_OWNER, all_workspaces=True)
    other = new_workspace(client, "other")
    assert Client(client.port, everywhere.token).list(parent=other).total_size == 0
    here = Client(client.port, make_token(client, ROLE_OWNER).token)
    assert reason(refusal(lambda: here.list(parent=other))) == "RESOURCE_NOT_FOUND"
    add(client, "ada", ROLE_OWNER)
    admin = somebody(client, "admin", ROLE_ADMIN)
    for by, principal in ((here, ""), (client, "users/ada"), (admin, "")):
        error = refusal(
            lambda by=by, principal=principal: make_token(
                by, ROLE_VIEWER, principal=principal, all_workspaces=True
            )
        )
        assert reason(error) == "PERMISSION_LACKING"


def test_in_each_workspace_a_token_has_the_role_of_there(client: Client) -> None:
    other = new_workspace(client, "other")
    add(client, "ada", ROLE_OWNER, other)
    change(client, "local", other, role=ROLE_VIEWER)
    fresh = Client(client.port, make_token(client, ROLE_OWNER, all_workspaces=True).token)
    assert fresh.list(parent=other).total_size == 0
    run = new_exception(run=f"{other}/automations/a/runs/r")
    error = refusal(
        lambda: fresh.exceptions.CreateException(
            CreateExceptionRequest(parent=other, exception=run)
        )
    )
    assert reason(error) == "PERMISSION_LACKING"


def test_a_token_expires(client: Client) -> None:
    past = datetime.now(UTC) - timedelta(hours=1)
    born = refusal(lambda: make_token(client, ROLE_VIEWER, expire_time=past))
    assert violations(born) == {"access_token.expire_time": "must lie ahead"}
    soon = datetime.now(UTC) + timedelta(seconds=4)
    short = Client(client.port, make_token(client, ROLE_VIEWER, expire_time=soon).token)
    with reading(watch(short)) as reader:
        reader.wait_ended()
    assert reader.messages[-1].error.code == code_pb2.UNAUTHENTICATED
    assert is_refused(short, "CREDENTIALS_INVALID")


@pytest.mark.parametrize("seconds", [-62135596801, 253402300800, 2**63 - 1, -(2**63)])
def test_a_time_that_is_none_is_refused(client: Client, seconds: int) -> None:
    error = refusal(lambda: make_token(client, ROLE_VIEWER, expire_time={"seconds": seconds}))
    assert list(violations(error)) == ["access_token.expire_time"]


def test_an_expire_time_is_kept_to_the_microsecond(client: Client) -> None:
    last = {"seconds": 253402300799, "nanos": 999_999_999}
    made = make_token(client, ROLE_VIEWER, expire_time=last).access_token
    assert made.expire_time.ToJsonString() == "9999-12-31T23:59:59.999999Z"


def test_a_revoked_token_is_refused_by_all_servers_and_its_streams_end(
    start_server: StartServer,
) -> None:
    client, other = start_server(), start_server()
    made = make_token(client, ROLE_VIEWER)
    users = [Client(server.port, made.token) for server in (client, other)]
    assert [user.list().total_size for user in users] == [0, 0]
    with reading(watch(users[0])) as first, reading(stream(users[1], new_thread())) as second:
        revoked = revoke(client, made.access_token.name)
        assert revoked.HasField("revoke_time")
        for reader in (first, second):
            reader.wait_ended()
            assert reader.messages[-1].error.code == code_pb2.UNAUTHENTICATED
            assert "was revoked" in reader.messages[-1].error.message
            assert reader.error is not None
            assert reason(reader.error) == "CREDENTIALS_INVALID"
    for user in users:
        until(lambda user=user: is_refused(user, "CREDENTIALS_INVALID"))
    assert revoke(client, made.access_token.name) == revoked


def test_who_is_demoted_may_no_longer(start_server: StartServer) -> None:
    client, other = start_server(), start_server()
    ada = somebody(client, "ada", ROLE_RESPONDER)
    there = Client(other.port, ada.token)
    name = there.raise_one().name
    change(client, "ada", role=ROLE_VIEWER)
    for one in (ada, there):
        until(lambda one=one: is_denied(lambda: one.resolve(name)))
        assert one.get(name).name == name


def test_who_is_demoted_to_what_their_token_is_not_loses_their_streams(client: Client) -> None:
    ada = somebody(client, "ada", ROLE_RESPONDER)
    with reading(watch(ada)) as reader:
        change(client, "ada", role=ROLE_SERVICE)
        reader.wait_ended()
    assert reader.messages[-1].error.code == code_pb2.NOT_FOUND


def test_who_is_removed_is_outside(start_server: StartServer) -> None:
    client, other = start_server(), start_server()
    ada = somebody(client, "ada", ROLE_RESPONDER)
    there = Client(other.port, ada.token)
    with reading(watch(ada)) as reader, reading(stream(there, new_thread())) as second:
        remove(client, "ada")
        for each in (reader, second):
            each.wait_ended()
            assert each.messages[-1].error.code == code_pb2.UNAUTHENTICATED
    for one in (ada, there):
        until(lambda one=one: is_refused(one, "CREDENTIALS_INVALID"))


def is_denied(call: Callable[[], Any]) -> bool:
    try:
        call()
    except grpc.RpcError as error:
        return reason(error) == "PERMISSION_LACKING"
    return False


def test_everybody_sees_their_own_tokens_and_managers_all(client: Client) -> None:
    ada, bob = (somebody(client, id, ROLE_APPROVER) for id in ("ada", "bob"))
    admin = somebody(client, "admin", ROLE_ADMIN)
    [own] = tokens(ada)
    [bobs] = tokens(bob)
    assert (own.principal, bobs.principal) == ("users/ada", "users/bob")
    assert {each.principal for each in tokens(admin)} == {
        *("users/ada", "users/admin", "users/bob", "users/local")
    }
    assert tokens(ada, filter="principal = users/bob") == []
    get = service.GetAccessTokenRequest(name=bobs.name)
    for call in (lambda: ada.access.GetAccessToken(get), lambda: revoke(ada, bobs.name)):
        assert reason(refusal(call)) == "RESOURCE_NOT_FOUND"
    assert admin.access.GetAccessToken(get).name == bobs.name
    assert bob.list().total_size == 0


def test_a_token_revokes_none_that_may_more(client: Client) -> None:
    weak = Client(client.port, make_token(client, ROLE_VIEWER).token)
    stronger = make_token(client, ROLE_ADMIN).access_token.name
    assert reason(refusal(lambda: revoke(weak, stronger))) == "PERMISSION_LACKING"
    assert revoke(client, stronger).HasField("revoke_time")
    weak.channel.close()


def test_a_repeated_request_makes_no_second_token_and_shows_none(client: Client) -> None:
    first = make_token(client, ROLE_VIEWER, request_id="r")
    again = make_token(client, ROLE_VIEWER, request_id="r")
    assert (again.access_token, again.token) == (first.access_token, "")
    assert first.token.startswith("kin_")
    assert len(tokens(client)) == 2


def test_the_secret_is_kept_nowhere(
    client: Client, database: str, capfd: pytest.CaptureFixture[str]
) -> None:
    made = make_token(client, ROLE_ADMIN, request_id="r")
    Client(client.port, made.token).list()
    refusal(Client(client.port, made.token[:-1]).list)
    revoke(client, made.access_token.name)
    rows = all_rows(database)
    assert made.access_token.title in rows
    assert "CreateAccessToken" in rows
    assert made.token not in rows
    assert made.token[4:30] not in rows
    ledger.tell()
    printed = "".join(capfd.readouterr())
    assert "CreateAccessToken" in printed
    assert made.token[4:30] not in printed
    stored = digest(made.token)
    assert stored is not None
    assert rows.count(stored.hex()) == 1


def all_rows(database: str) -> str:
    with psycopg.connect(database) as connection:
        named = "SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'"
        tables = [name for (name,) in connection.execute(named).fetchall()]
        assert {"access_tokens", "changes"} <= set(tables)
        queries = [f'SELECT to_jsonb(t)::text FROM "{name}" t' for name in tables]
        return "\n".join(row for query in queries for (row,) in connection.execute(query))


def test_whoever_makes_a_workspace_owns_it(client: Client) -> None:
    other = new_workspace(client, "other")
    assert members(client, other) == {"local": ROLE_OWNER}
    admin = somebody(client, "admin", ROLE_ADMIN)
    assert reason(refusal(lambda: new_workspace(admin, "more"))) == "PERMISSION_LACKING"


def test_whoever_made_a_workspace_and_left_is_outside(client: Client) -> None:
    other = new_workspace(client, "other", request_id="r")
    assert new_workspace(client, "other", request_id="r") == other
    add(client, "ada", ROLE_OWNER, other)
    remove(client, "local", other)
    error = refusal(lambda: new_workspace(client, "other", request_id="r"))
    assert reason(error) == "RESOURCE_NOT_FOUND"


def test_whoever_could_not_use_a_new_workspace_makes_none(client: Client) -> None:
    one = Client(client.port, make_token(client, ROLE_OWNER).token)
    error = refusal(lambda: new_workspace(one, "other"))
    assert error.code() is grpc.StatusCode.PERMISSION_DENIED
    assert "good for all" in error.details()
    assert new_workspace(client, "other").endswith("/other")


@pytest.mark.parametrize("role", ROLES, ids=Role.Name)
def test_every_method_asks_for_its_permission(client: Client, database: str, role: int) -> None:
    names = fill(client.channel, WORKSPACE, Worker(database).analyse)
    one = somebody(client, "ada", role)
    allowed = {
        served.descriptor.name
        for served in METHODS
        if not is_denied(lambda served=served: first_answer(one, served, names))
    }
    assert allowed == {
        served.descriptor.name
        for served in METHODS
        if served.declared.permission in PERMISSIONS[role]
    } - {"CreateWorkspace"}  # takes a token for all workspaces
    assert SAID[role](allowed)


def first_answer(client: Client, served: Served, names: Names) -> None:
    answer = served.callable(client.channel)(filled(served, names), timeout=30)
    if served.is_stream:
        next(answer)
        answer.cancel()


READING = ("Get", "List", "Stream", "Watch", "Count")
SAID: dict[int, Callable[[set[str]], bool]] = {
    ROLE_VIEWER: lambda allowed: (
        allowed == {each.descriptor.name for each in METHODS if _is_viewers(each.descriptor.name)}
    ),
    ROLE_RESPONDER: lambda allowed: (
        {"CreateException", "BulkArchiveExceptions", "CreateEvent", "UpdateGuideEntry"} <= allowed
        and not {"ApproveGuideEntry", "DeleteGuideEntry", "ListMembers"} & allowed
    ),
    ROLE_APPROVER: lambda allowed: (
        {"ApproveGuideEntry", "RejectGuideEntry", "ResolveException"} <= allowed
        and not {"UpdateWorkspace", "UpdateExceptionGroup", "CreateMember"} & allowed
    ),
    ROLE_ADMIN: lambda allowed: (
        {each.descriptor.name for each in METHODS} - allowed == {"CreateWorkspace"}
    ),
    ROLE_OWNER: lambda allowed: (
        {each.descriptor.name for each in METHODS} - allowed == {"CreateWorkspace"}
    ),
    ROLE_SERVICE: lambda allowed: (
        {"CreateException", "BatchCreateExceptions", "GetException", "CreateEvent"} <= allowed
        and not {"ResolveException", "CreateAccessToken", "CreateGuideEntry"} & allowed
    ),
}
"""What a role may, in words of its own for some telling methods."""


def _is_viewers(method: str) -> bool:
    if "Member" in method or "Audit" in method:
        return False
    return method.startswith(READING) or method in ("CreateAccessToken", "RevokeAccessToken")


def test_every_permission_is_some_roles() -> None:
    given = frozenset[str]().union(*PERMISSIONS.values())
    assert {served.declared.permission for served in METHODS} <= given
    assert set(PERMISSIONS) == set(ROLES)


@pytest.mark.parametrize("features", [[], ["agent_ai"]])
def test_a_method_may_need_a_feature(features: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    ada = Membership("0", frozenset(["probe.use"]), features=frozenset(features))
    monkeypatch.setattr(probe, "ADA", ada)
    running = probe.Probe(lambda: "fine", feature="agent_ai")
    try:
        if features:
            assert running.call("UnaryUnary", probe.WORKSPACE) == "fine"
        else:
            error = refusal(lambda: running.call("UnaryUnary", probe.WORKSPACE))
            assert error.code() is grpc.StatusCode.PERMISSION_DENIED
            assert reason(error) == "FEATURE_NOT_ENABLED"
        elsewhere = refusal(lambda: running.call("UnaryUnary", f"{probe.WORKSPACE}2"))
        assert elsewhere.code() is grpc.StatusCode.NOT_FOUND
    finally:
        running.close()
