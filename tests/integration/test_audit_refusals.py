"""Refused calls of known callers are counted, by caller, method and minute, and become entries."""

from collections.abc import Iterator
from typing import Any

import grpc
import psycopg
import pytest
from kintsugi.v1 import exception_service_pb2 as service

from server.app import Server
from server.config import Settings
from server.domain.access import Membership
from server.domain.audit import Last, Refused
from server.domain.call import Call
from server.domain.errors import (
    InvalidFields,
    KintsugiError,
    NotFound,
    Overloaded,
    PermissionLacking,
    ReaderTooSlow,
)
from server.interceptors.refusals import RefusedCalls
from server.operations import sealing
from server.store.connection import Database
from server.store.store import Store
from tests.integration.auditing import Audit
from tests.integration.client import WORKSPACE, Client
from tests.integration.probe import KINDS, SERVICE, Probe
from tests.integration.waiting import until

MEMBER = {WORKSPACE: Membership("", frozenset())}
CREATE = "/kintsugi.v1.ExceptionService/CreateException"


@pytest.fixture
def audited(client: Client, database: str) -> Iterator[Audit]:
    made = Audit(client, database)
    yield made
    made.close()


def refuse(
    refused: RefusedCalls, times: int, name: str, principal: str = "users/eve", **fields: Any
) -> None:
    call = Call(CREATE, principal, None, memberships=MEMBER, **fields)
    for _ in range(times):
        refused.count(call, PermissionLacking("users/eve", "exceptions.create"), name)


def let_the_minute_pass(audited: Audit) -> None:
    audited.sql("UPDATE pending_audit_entries SET create_time = create_time - interval '2 minutes'")


def probe_fails(kind: str, error: Exception) -> RefusedCalls:
    def behavior() -> str:
        raise error

    probe = Probe(behavior)
    try:
        with pytest.raises(grpc.RpcError):
            probe.call(kind)
        return probe.refused
    finally:
        probe.close()


@pytest.mark.parametrize("kind", KINDS)
def test_a_refused_call_of_every_kind_is_counted(kind: str) -> None:
    refused = probe_fails(kind, Overloaded("calls", 1))
    calls = Refused(
        "organizations/o/workspaces/w", "users/ada", f"/{SERVICE}/{kind}", "RESOURCE_EXHAUSTED"
    )
    assert refused.take() == {calls: Last(1, "t", "127.0.0.1")}
    assert refused.take() == {}


@pytest.mark.parametrize(
    "error", [InvalidFields([("a", "b")]), NotFound("a/b"), ReaderTooSlow(), ValueError()]
)
def test_other_failures_are_no_refusals(error: Exception) -> None:
    assert probe_fails("UnaryUnary", error).take() == {}


@pytest.mark.parametrize(
    "name",
    [
        WORKSPACE,
        f"{WORKSPACE}/exceptions/e",
        "organizations/local",
        "organizations/local/workspaces/of-others",
        f"organizations/{'o' * 4_000_000}/workspaces/w",
        "",
    ],
)
def test_the_workspace_is_one_of_the_callers_whatever_the_call_names(name: str) -> None:
    refused = RefusedCalls()
    refuse(refused, 1, name)
    [calls] = refused.take()
    assert calls.workspace == WORKSPACE


def test_no_caller_fills_the_memory_with_names() -> None:
    refused = RefusedCalls()
    for number in range(5000):
        refuse(refused, 1, f"organizations/local/workspaces/w{number}")
    assert [last.calls for last in refused.take().values()] == [5000]


@pytest.mark.parametrize("of_others", [True, False])
def test_who_probes_another_workspace_is_in_the_audit_of_their_own(
    client: Client, audited: Audit, *, of_others: bool
) -> None:
    other = "organizations/local/workspaces/other"
    if of_others:
        audited.sql(
            "INSERT INTO workspaces (uid, organization, id, title, features, version)"
            " SELECT gen_random_uuid(), organization, 'other', title, features, version"
            " FROM workspaces"
        )
    names = [f"{other}/exceptions/x", f"{WORKSPACE}/exceptions/x"]
    for name in names:
        with pytest.raises(grpc.RpcError) as error:
            client.get(name)
        assert error.value.code() is grpc.StatusCode.NOT_FOUND
    until(lambda: audited.verify().unsealed_count == 1)
    let_the_minute_pass(audited)
    [entry] = audited.sealed()
    assert (entry.type, entry.outcome, entry.count) == ("call.refused", "NOT_FOUND", 1)
    assert entry.method == "/kintsugi.v1.ExceptionService/GetException"
    [(chains,)] = audited.sql("SELECT count(DISTINCT workspace) FROM audit_entries")
    assert chains == 1


def test_whoever_is_a_member_nowhere_is_not_counted() -> None:
    refused = RefusedCalls()
    error = PermissionLacking("users/eve", "exceptions.create")
    refused.count(Call(CREATE, "users/eve", None), error, WORKSPACE)
    assert refused.take() == {}


def test_calls_of_a_minute_are_one_entry_for_each_caller(audited: Audit) -> None:
    refused = RefusedCalls()
    refuse(refused, 3, WORKSPACE, token="t1", address="192.0.2.7")
    sealing.count_refused(audited.store, refused)
    refuse(refused, 4, WORKSPACE, token="t2", address="192.0.2.8")
    refuse(refused, 1, WORKSPACE, principal="users/bob")
    sealing.count_refused(audited.store, refused)
    sealing.seal_all(audited.store)
    assert audited.kept() == []
    assert audited.verify().unsealed_count == 2
    let_the_minute_pass(audited)
    eve, bob = sorted(audited.sealed(), key=lambda entry: entry.principal, reverse=True)
    assert (eve.type, eve.principal, eve.count) == ("call.refused", "users/eve", 7)
    assert (eve.method, eve.outcome, eve.resource) == (CREATE, "PERMISSION_DENIED", "")
    assert (eve.token, eve.address) == ("t2", "192.0.2.8")
    assert eve.create_time.seconds % 60 == 0
    assert (bob.principal, bob.count) == ("users/bob", 1)
    assert audited.broken() is None


def test_calls_that_name_no_workspace_of_the_callers_are_kept_in_the_first_one(
    audited: Audit,
) -> None:
    refused = RefusedCalls()
    refuse(refused, 1, "organizations/local/workspaces/unknown")
    refuse(refused, 1, "organizations/ä/workspaces/x\0 y")
    refuse(refused, 1, "nonsense")
    sealing.count_refused(audited.store, refused)
    let_the_minute_pass(audited)
    assert sum(entry.count for entry in audited.sealed()) == 3


def test_a_server_has_written_down_what_it_refused_when_it_stops(database: str) -> None:
    server = Server(
        Settings(database_url=database, grpc_port=0, grace_seconds=1, max_streams_per_principal=1)
    )
    client = Client(server.start())
    watch = service.WatchExceptionsRequest(parent=WORKSPACE)
    first = client.exceptions.WatchExceptions(watch)
    first.initial_metadata()
    for _ in range(3):
        with pytest.raises(grpc.RpcError):
            next(client.exceptions.WatchExceptions(watch))
    client.channel.close()
    server.stop()
    with psycopg.connect(database) as connection:
        [counted] = connection.execute(
            "SELECT principal, method, outcome, sum(count)::int FROM pending_audit_entries"
            " WHERE type = 'call.refused' GROUP BY principal, method, outcome"
        ).fetchall()
    method = "/kintsugi.v1.ExceptionService/WatchExceptions"
    assert counted == ("users/local", method, "RESOURCE_EXHAUSTED", 3)


def test_what_cant_be_written_down_is_not_lost(audited: Audit) -> None:
    refused = RefusedCalls()
    refuse(refused, 2, WORKSPACE)
    gone = Database("postgresql:///nothing?host=/nowhere", connections=1)
    with pytest.raises(KintsugiError):
        sealing.count_refused(Store(gone, audited.store.notifier), refused)
    gone.close()
    refuse(refused, 1, WORKSPACE)
    assert [last.calls for last in refused.take().values()] == [3]
