"""The audit: every change becomes an entry, in a chain that shows what was done to it."""

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import grpc
import psycopg
import pytest
from google.protobuf.json_format import MessageToDict
from google.rpc import code_pb2
from kintsugi.v1 import (
    access_service_pb2,
    exception_service_pb2,
    workspace_pb2,
    workspace_service_pb2,
)
from kintsugi.v1.audit_service_pb2 import ExportAuditEntriesRequest, VerifyAuditEntriesRequest
from kintsugi.v1.audit_service_pb2_grpc import AuditServiceStub
from kintsugi.v1.automation_stage_pb2 import AUTOMATION_STAGE_PUBLISHED
from kintsugi.v1.member_pb2 import ROLE_ADMIN, ROLE_VIEWER
from pydantic import ValidationError
from sqlalchemy import SmallInteger, func, select

from server.config import Settings
from server.domain.names import WorkspaceName
from server.operations import sealing
from server.operations.audit import SPARE_SECONDS, _Walk, verify
from server.operations.raising import Raising
from server.resources.audit_entry import _NAMES, AUDIT_ENTRY
from server.resources.collection import Collection
from server.resources.exception import EXCEPTION
from server.store import audit as chain
from server.store.query import Query
from server.store.sealing import Note, audit
from server.store.store import Store
from server.store.tables import MASKED, metadata
from tests.identity import TOKEN, authorized
from tests.integration.auditing import Audit, calling
from tests.integration.client import WORKSPACE, Client, batch, new_exception, reason, violations
from tests.integration.conftest import StartServer
from tests.integration.test_access import make_token, revoke
from tests.integration.test_stream_endurance import Served
from tests.integration.waiting import until

KINTSUGI = str(Path(sys.executable).with_name("kintsugi"))
METHOD = "/kintsugi.v1.ExceptionService/"


@pytest.fixture
def audited(client: Client, database: str) -> Iterator[Audit]:
    made = Audit(client, database)
    yield made
    made.close()


def raise_some(client: Client, count: int) -> None:
    batch(client, *(new_exception() for _ in range(count)))


def test_a_change_becomes_an_entry_that_says_who_did_what(client: Client, audited: Audit) -> None:
    raised = client.raise_one(extra={"host": "worker-3"})
    entry = next(each for each in audited.sealed() if each.resource == raised.name)
    assert (entry.sequence, entry.name) == (1, f"{WORKSPACE}/auditEntries/1")
    assert (entry.type, entry.principal) == ("exception.create", "users/local")
    assert entry.method == METHOD + "CreateException"
    assert (entry.outcome, entry.count) == ("OK", 1)
    assert not entry.HasField("before")
    assert entry.after["message"] == raised.message
    assert entry.after["extra"]["host"] == "worker-3"
    assert entry.create_time.ToMicroseconds() >= raised.create_time.ToMicroseconds()
    assert audited.get(entry.name) == entry


def test_an_entry_has_the_token_and_the_address_of_its_call(audited: Audit) -> None:
    with calling("CreateException", token="t1", address="192.0.2.7"):
        Raising(Collection(audited.store, EXCEPTION)).create(
            exception_service_pb2.CreateExceptionRequest(
                parent=WORKSPACE, exception=new_exception()
            )
        )
    [entry] = audited.sealed()
    assert (entry.principal, entry.token, entry.address) == ("users/ada", "t1", "192.0.2.7")


def test_an_update_has_only_what_it_changed(client: Client, audited: Audit) -> None:
    raised = client.raise_one(assignee="users/bob")
    client.update("assignee", name=raised.name, assignee="users/ada")
    [entry] = audited.sealed(filter='type = "exception.update"')
    before, after = MessageToDict(entry.before), MessageToDict(entry.after)
    assert (before.pop("update_time"), after.pop("update_time")) != ("", "")
    assert (before, after) == ({"assignee": "users/bob"}, {"assignee": "users/ada"})


def test_what_a_call_creates_besides_is_an_entry_of_its_own(client: Client, audited: Audit) -> None:
    raised = client.raise_one()
    client.resolve(raised.name, resolution_note="Add the total.")
    types = [entry.type for entry in audited.sealed()]
    assert types == ["exception.create", "exception.resolve", "guideEntry.create"]


def test_enums_have_the_names_that_the_api_has(client: Client, audited: Audit) -> None:
    raised = client.raise_one(stage=AUTOMATION_STAGE_PUBLISHED)
    client.archive(raised.name)
    make_token(client, ROLE_ADMIN)
    first, archived, token = audited.sealed()
    assert first.after["state"] == archived.before["state"] == "EXCEPTION_STATE_PENDING"
    assert archived.after["state"] == "EXCEPTION_STATE_ARCHIVED"
    assert first.after["stage"] == "AUTOMATION_STAGE_PUBLISHED"
    assert token.after["role"] == "ROLE_ADMIN"
    assert audited.export() == audited.kept()
    [(state,)] = audited.sql("SELECT before->>'state' FROM audit_entries WHERE id = 2")
    assert state == "1"
    assert audited.broken() is None


def test_a_number_that_no_enum_has_stays(client: Client, audited: Audit) -> None:
    """Of an entry that was sealed while there was one."""
    raised = client.raise_one()
    audited.sql("UPDATE changes SET after = after || '{\"stage\": 99}'")
    [entry] = audited.sealed(filter=f'resource = "{raised.name}"')
    assert entry.after["stage"] == 99


def test_every_enum_that_is_recorded_has_names() -> None:
    recorded = {
        (table.name.replace("_", ""), column.name)
        for table in metadata.tables.values()
        for column in table.c
        if isinstance(column.type, SmallInteger)
        and MASKED not in column.info
        and not re.search("_counts?_?|_revisions", table.name)
    }
    assert {(collection.lower(), field) for collection, field in _NAMES} == recorded


def test_secrets_are_masked(client: Client, audited: Audit) -> None:
    extra = {"db_password": "hunter2", "ApiKey": "k-123", "host": "worker-3"}
    client.raise_one(extra=extra)
    [entry] = audited.sealed()
    masked = {"db_password": "***", "ApiKey": "***", "host": "worker-3"}
    assert MessageToDict(entry.after)["extra"] == masked
    [(text,)] = audited.sql("SELECT string_agg(audit_entries::text, ' ') FROM audit_entries")
    assert "hunter2" not in text
    assert "k-123" not in text


def test_a_server_seals_by_itself(client: Client, audited: Audit, until) -> None:
    client.raise_one()
    assert until(lambda: len(audited.kept()) == 1, 30)


def test_entries_can_be_filtered_and_ordered(client: Client, audited: Audit) -> None:
    raised = client.raise_one()
    client.archive(raised.name)
    client.raise_one()
    audited.seal()
    assert [each.sequence for each in audited.kept(order_by="")] == [3, 2, 1]
    for text, sequences in {
        'type = "exception.archive"': [2],
        'type = "exception.*"': [1, 2, 3],
        f'resource = "{raised.name}"': [1, 2],
        'principal = "users/nobody"': [],
        "sequence > 1 AND outcome = OK": [2, 3],
        'method:"CreateException"': [1, 3],
        "create_time > 2100-01-01T00:00:00Z": [],
    }.items():
        assert [each.sequence for each in audited.kept(filter=text)] == sequences, text
        assert audited.export(text) == audited.kept(filter=text)


def test_a_bad_filter_is_refused_before_an_export_begins(audited: Audit) -> None:
    with pytest.raises(grpc.RpcError) as error:
        audited.export("sequenz > 1")
    assert reason(error.value) == "FILTER_TYPE"


def test_an_export_has_all_entries_oldest_first(client: Client, audited: Audit) -> None:
    raise_some(client, 300)
    audited.seal()
    assert [each.sequence for each in audited.export()] == list(range(1, 301))


@pytest.mark.parametrize("id", ["0", "01", "x", "2", "9" * 30])
def test_what_is_no_entry_is_not_found(client: Client, audited: Audit, id: str) -> None:
    client.raise_one()
    audited.seal()
    with pytest.raises(grpc.RpcError) as error:
        audited.get(f"{WORKSPACE}/auditEntries/{id}")
    assert error.value.code() is grpc.StatusCode.NOT_FOUND


def test_workspaces_have_chains_of_their_own(client: Client, audited: Audit) -> None:
    client.raise_one()
    client.workspaces.CreateWorkspace(
        workspace_service_pb2.CreateWorkspaceRequest(
            parent="organizations/local", workspace_id="other", workspace=workspace_pb2.Workspace()
        )
    )
    audited.seal()
    other = "organizations/local/workspaces/other"
    sealing.seal_all(audited.store)
    assert [each.type for each in audited.kept()] == ["exception.create"]
    [entry] = audited.kept(parent=other)
    assert (entry.type, entry.sequence, entry.resource) == ("workspace.create", 1, other)


def test_what_is_deleted_was_there_before(client: Client, audited: Audit) -> None:
    name = f"{WORKSPACE}/members/ada"
    client.access.CreateMember(
        access_service_pb2.CreateMemberRequest(
            parent=WORKSPACE, member_id="ada", member={"role": ROLE_VIEWER}
        )
    )
    client.access.DeleteMember(access_service_pb2.DeleteMemberRequest(name=name))
    made, deleted = audited.sealed()
    assert (deleted.type, deleted.resource) == ("member.delete", name)
    assert (deleted.before, deleted.after) == (made.after, made.before)
    assert not deleted.HasField("after")
    assert audited.broken() is None


def test_what_cannot_be_sealed_holds_up_no_other_workspace(
    client: Client, audited: Audit, monkeypatch: pytest.MonkeyPatch
) -> None:
    client.raise_one()
    client.workspaces.CreateWorkspace(
        workspace_service_pb2.CreateWorkspaceRequest(
            parent="organizations/local", workspace_id="other", workspace=workspace_pb2.Workspace()
        )
    )
    uid, seal = audited.store.workspace_key(WorkspaceName.parse(WORKSPACE)), sealing._seal

    def seal_others(store: Store, workspace: str) -> bool:
        if workspace == uid:
            raise ValueError("can't be masked")
        return seal(store, workspace)

    monkeypatch.setattr(sealing, "_seal", seal_others)
    sealing.seal_all(audited.store)
    assert audited.kept() == []
    assert len(audited.kept(parent="organizations/local/workspaces/other")) == 1
    monkeypatch.undo()
    assert len(audited.sealed()) == 1


def test_a_note_becomes_an_entry(audited: Audit) -> None:
    session = f"{WORKSPACE}/agentSessions/s1"
    payload = {"total_prompt_tokens": 812, "total_completion_tokens": 96, "api_key": "k-1"}
    note = Note("aiagent.response.complete", "agents/guide", session, payload)
    workspace = audited.store.workspace_key(WorkspaceName.parse(WORKSPACE))
    with audited.store.database.transaction() as transaction:
        audit(transaction, workspace, note)
    [entry] = audited.sealed()
    assert (entry.type, entry.principal) == ("aiagent.response.complete", "agents/guide")
    assert entry.resource == session
    assert MessageToDict(entry.after) == payload | {"api_key": "***"}
    assert audited.broken() is None


def test_an_untouched_chain_is_whole(client: Client, audited: Audit) -> None:
    empty = audited.verify()
    assert (empty.verified_count, empty.checkpoint, empty.done) == (0, "", True)
    raise_some(client, 600)
    audited.seal()
    answer = audited.verify()
    assert (answer.verified_count, answer.done, answer.unsealed_count) == (600, True, 0)
    assert not answer.HasField("broken_link")
    assert answer.checkpoint == f"600:{audited.kept(filter='sequence = 600')[0].hash}"


COPY = (
    "INSERT INTO audit_entries SELECT workspace, {}, type, principal, token, address, method,"
    " resource, outcome, count, before, after, create_time, hash FROM audit_entries WHERE id = {}"
)
CHANGE = "UPDATE audit_entries SET {} WHERE id = 7"
REMOVE = "DELETE FROM audit_entries WHERE id = {}"
MOVE = "UPDATE audit_entries SET id = {} WHERE id {}"

TAMPERING = {
    "a changed text": ([CHANGE.format("principal = 'users/eve'")], 7),
    "a changed image": ([CHANGE.format("after = '{}'")], 7),
    "a changed time": ([CHANGE.format("create_time = create_time + interval '1 us'")], 7),
    "a changed hash": ([CHANGE.format("hash = sha256('x')")], 7),
    "the first one deleted": ([REMOVE.format(1)], 1),
    "one deleted": ([REMOVE.format(7)], 7),
    "the last one deleted": ([REMOVE.format(20)], 20),
    "all deleted": (["DELETE FROM audit_entries"], 1),
    "one deleted, the others moved up": (
        [REMOVE.format(7), MOVE.format("id + 100", "> 7"), MOVE.format("id - 101", "> 100")],
        7,
    ),
    "two exchanged": ([MOVE.format("100 + id", "IN (7, 9)"), MOVE.format("116 - id", "> 100")], 7),
    "one inserted at the end": ([COPY.format(21, 20)], 21),
    "one put in place of another": ([REMOVE.format(7), COPY.format(7, 8)], 7),
}


@pytest.mark.parametrize("tampering", TAMPERING)
def test_the_first_broken_link_is_found(client: Client, audited: Audit, tampering: str) -> None:
    statements, sequence = TAMPERING[tampering]
    raise_some(client, 20)
    audited.seal()
    assert audited.broken() is None
    for statement in statements:
        audited.sql(statement)
    assert audited.broken() == sequence


def test_a_chain_with_all_hashes_made_anew_contradicts_its_seals(
    client: Client, audited: Audit
) -> None:
    raise_some(client, 20)
    audited.seal()
    forge(audited, 7)
    assert audited.broken() == 20


def test_a_checkpoint_finds_what_was_forged_with_its_seals(client: Client, audited: Audit) -> None:
    raise_some(client, 20)
    audited.seal()
    checkpoint = audited.verify().checkpoint
    assert audited.verify(checkpoint).verified_count == 0
    client.raise_one()
    audited.seal()
    assert audited.verify(checkpoint).verified_count == 1
    forge(audited, 7)
    audited.sql(
        "UPDATE audit_seals SET hash = audit_entries.hash FROM audit_entries"
        " WHERE audit_entries.id = audit_seals.id"
    )
    assert audited.broken() is None
    assert audited.verify(checkpoint).broken_link.sequence == 20


def forge(audited: Audit, first: int) -> None:
    """Changes an entry, and makes all hashes from there on anew, as an owner could."""
    uid = audited.store.workspace_key(WorkspaceName.parse(WORKSPACE))
    audited.sql(f"UPDATE audit_entries SET principal = 'users/eve' WHERE id = {first}")
    [before, *entries] = chain.entries_after(audited.store.database, uid, first - 2)
    previous = before.hash
    for entry in entries:
        previous = chain.digest(uid, previous, entry.id, entry.content)
        audited.sql(f"UPDATE audit_entries SET hash = '\\x{previous.hex()}' WHERE id = {entry.id}")


@pytest.mark.parametrize("checkpoint", ["x", "1", "1:ab", f"-1:{'a' * 64}", f"1:{'g' * 64}"])
def test_a_malformed_checkpoint_is_refused(audited: Audit, checkpoint: str) -> None:
    with pytest.raises(grpc.RpcError) as error:
        audited.verify(checkpoint)
    assert list(violations(error.value)) == ["checkpoint"]


def test_what_isnt_sealed_yet_is_told(client: Client, audited: Audit) -> None:
    with psycopg.connect(audited.url) as open_writer:
        open_writer.execute("SELECT pg_current_xact_id()")
        client.raise_one()
        sealing.seal_all(audited.store)
        answer = audited.verify()
        assert (answer.verified_count, answer.unsealed_count, answer.done) == (0, 1, True)
    audited.seal()
    assert audited.verify().verified_count == 1


def test_many_writers_and_two_sealers_leave_no_gap_and_no_double(
    start_server: StartServer, database: str
) -> None:
    clients = [start_server(), start_server()]
    audited = Audit(clients[0], database)

    def write(number: int) -> None:
        for _ in range(25):
            raised = clients[number % 2].raise_one()
            clients[number % 2].archive(raised.name)

    with ThreadPoolExecutor(9) as pool:
        work = [pool.submit(write, number) for number in range(8)]
        while not all(each.done() for each in work):
            sealing.seal_all(audited.store)
        for each in work:
            each.result()
    audited.seal()
    answer = audited.verify()
    assert (answer.verified_count, answer.done) == (400, True)
    assert not answer.HasField("broken_link")
    [(sealed, distinct, recorded)] = audited.sql(
        "SELECT count(*), count(DISTINCT (resource, type)),"
        " (SELECT count(*) FROM changes) FROM audit_entries"
    )
    assert sealed == distinct == recorded == 400
    audited.close()


def test_changes_are_sealed_in_the_order_of_their_transactions(audited: Audit) -> None:
    """As numbers: 9 before 10 and 100, over more than a batch; those of an earlier epoch first."""
    audited.sql("INSERT INTO clusters VALUES (2, 1, now())")
    audited.sql(
        "INSERT INTO changes (workspace, epoch, xid, principal, method, resource, after)"
        f" SELECT uid, 1 + n % 2, (n + 5)::text::xid8, 'users/ada', '{METHOD}CreateException',"
        f" '{WORKSPACE}/exceptions/' || n, '{{}}'"
        " FROM workspaces, generate_series(1, 600) AS n ORDER BY random()"
    )
    expected = [*range(2, 601, 2), *range(1, 601, 2)]
    found = [int(entry.resource.rpartition("/")[2]) for entry in audited.sealed()]
    assert found == expected
    assert audited.broken() is None


def test_changes_of_an_earlier_epoch_come_first(client: Client, audited: Audit) -> None:
    raise_some(client, 3)
    audited.seal()
    uid = audited.store.workspace_key(WorkspaceName.parse(WORKSPACE))
    audited.sql("INSERT INTO clusters VALUES (2, 1, now())")
    audited.sql("ALTER TABLE changes ALTER COLUMN epoch SET DEFAULT 2")
    audited.sql(
        "INSERT INTO changes (workspace, epoch, xid, principal, method, resource, after)"
        f" VALUES ('{uid}', 2, '5', 'users/ada', '{METHOD}CreateException',"
        f" '{WORKSPACE}/exceptions/late', '{{}}')"
    )
    assert [each.sequence for each in audited.sealed()] == [1, 2, 3, 4]
    assert audited.kept()[-1].resource.endswith("/late")
    assert audited.broken() is None


def age_seals(audited: Audit, through: int, days: int) -> None:
    audited.sql(
        f"UPDATE audit_seals SET create_time = now() - interval '{days} days' WHERE id <= {through}"
    )


def test_pruning_keeps_the_chain_verifiable(client: Client, audited: Audit) -> None:
    checkpoint = ""
    for _ in range(3):
        raise_some(client, 10)
        audited.seal()
        checkpoint = checkpoint or audited.verify().checkpoint
    sealed_through = int(checkpoint.partition(":")[0])
    age_seals(audited, sealed_through, 40)
    sealing.prune_all(audited.store, 41)
    assert len(audited.kept()) == 30
    sealing.prune_all(audited.store, 39)
    kept = [each.sequence for each in audited.kept()]
    assert kept == list(range(sealed_through + 1, 31))
    answer = audited.verify()
    assert (answer.verified_count, answer.done) == (30 - sealed_through, True)
    assert not answer.HasField("broken_link")
    assert not audited.verify(checkpoint).HasField("broken_link")
    client.raise_one()
    audited.seal()
    assert audited.verify().verified_count == 31 - sealed_through
    audited.sql(f"DELETE FROM audit_entries WHERE id = {sealed_through + 1}")
    assert audited.verify().broken_link.sequence == sealed_through + 1


def test_what_is_put_in_before_a_pruned_chain_is_found(client: Client, audited: Audit) -> None:
    raise_some(client, 3)
    audited.seal()
    client.raise_one()
    audited.seal()
    age_seals(audited, 3, 31)
    sealing.prune_all(audited.store, 30)
    assert not audited.verify().HasField("broken_link")
    audited.sql(COPY.format(2, 4))
    assert audited.verify().broken_link.sequence == 2
    with pytest.raises(psycopg.errors.CheckViolation):
        audited.sql(COPY.format(0, 4))


def test_a_checkpoint_that_is_pruned_is_told_so(client: Client, audited: Audit) -> None:
    raise_some(client, 1)
    audited.seal()
    checkpoint = audited.verify().checkpoint
    raise_some(client, 2)
    audited.seal()
    age_seals(audited, 3, 31)
    assert not audited.verify(checkpoint).checkpoint_pruned
    sealing.prune_all(audited.store, 30)
    answer = audited.verify(checkpoint)
    assert (answer.checkpoint_pruned, answer.HasField("broken_link")) == (True, False)
    assert not audited.verify(answer.checkpoint).checkpoint_pruned
    words = [KINTSUGI, "audit", "verify", "--checkpoint", checkpoint]
    reached = {"KINTSUGI_SERVER": f"127.0.0.1:{client.port}", "KINTSUGI_TOKEN": client.token}
    done = subprocess.run(
        words, env=os.environ | reached, capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.returncode, "the checkpoint is pruned" in done.stderr) == (1, True)


LARGE = 250_000
"""Characters that are six each as JSON."""


def fill(audited: Audit, count: int, size: int = LARGE) -> None:
    """Changes with large values, committed at once."""
    audited.sql(
        "INSERT INTO changes (workspace, principal, method, resource, after)"
        f" SELECT uid, 'users/ada', '{METHOD}CreateException', '{WORKSPACE}/exceptions/' || n,"
        f" jsonb_build_object('extra', repeat(chr(1), {size}))"
        f" FROM workspaces, generate_series(1, {count}) AS n"
    )


def test_large_changes_are_sealed_and_verified_a_few_at_a_time(audited: Audit) -> None:
    fill(audited, 20)
    audited.seal()
    [(batches,)] = audited.sql("SELECT count(*) FROM audit_seals")
    assert batches >= 20 / 3
    uid = audited.store.workspace_key(WorkspaceName.parse(WORKSPACE))
    assert 1 <= len(chain.entries_after(audited.store.database, uid, 0)) <= 3
    assert audited.verify().verified_count == 20


def test_large_notes_are_sealed_a_few_at_a_time(audited: Audit) -> None:
    workspace = audited.store.workspace_key(WorkspaceName.parse(WORKSPACE))
    with audited.store.database.transaction() as transaction:
        for _ in range(6):
            audit(transaction, workspace, Note("a.b", "users/ada", "a/b", {"x": "\x01" * LARGE}))
    audited.seal()
    [(batches,)] = audited.sql("SELECT count(*) FROM audit_seals")
    assert batches >= 2
    assert audited.verify().verified_count == 6


def test_an_export_ends_with_its_token(client: Client, audited: Audit) -> None:
    fill(audited, 40)
    audited.seal()
    made = make_token(client, ROLE_ADMIN)
    call = exporting(client.port, made.token)
    taken = [next(call)]
    revoke(client, made.access_token.name)
    time.sleep(4)
    with pytest.raises(grpc.RpcError) as error:
        taken.extend(call)
    assert reason(error.value) == "CREDENTIALS_INVALID"
    assert len(taken) < 40
    assert taken[-1].error.code == code_pb2.UNAUTHENTICATED


def test_a_slow_reader_of_an_export_is_told_so(start_server: StartServer, database: str) -> None:
    client = start_server(slow_reader_seconds=4)
    audited = Audit(client, database)
    fill(audited, 40)
    audited.seal()
    call = exporting(client.port)
    taken = [next(call)]
    time.sleep(5)
    with pytest.raises(grpc.RpcError) as error:
        taken.extend(call)
    assert reason(error.value) == "READER_TOO_SLOW"
    assert taken[-1].error.code == code_pb2.RESOURCE_EXHAUSTED
    audited.close()


def test_a_reader_of_an_export_that_stops_is_hung_up_on(database: str) -> None:
    served = Served(database, slow_reader_seconds=0.5)
    audited = Audit(served.client, database)
    fill(audited, 40)
    audited.seal()
    call = exporting(served.port)
    next(call)
    until(lambda: not served.server._hub._deliveries)
    with pytest.raises(grpc.RpcError) as error:
        list(call)
    assert error.value.code() is grpc.StatusCode.CANCELLED
    audited.close()
    served.close()


def exporting(port: int, token: str = TOKEN) -> Any:
    """On a connection of its own that takes no more than 64 KiB ahead."""
    options = [("grpc.use_local_subchannel_pool", 1), ("grpc.http2.bdp_probe", 0)]
    channel = authorized(grpc.insecure_channel(f"127.0.0.1:{port}", options), token)
    request = ExportAuditEntriesRequest(parent=WORKSPACE)
    call = AuditServiceStub(channel).ExportAuditEntries(request)
    call.channel = channel
    return call


def test_a_chain_that_was_pruned_whole_goes_on(client: Client, audited: Audit) -> None:
    raise_some(client, 3)
    audited.seal()
    age_seals(audited, 3, 400)
    sealing.prune_all(audited.store, 30)
    assert audited.kept() == []
    assert audited.verify().checkpoint.startswith("3:")
    client.raise_one()
    assert [each.sequence for each in audited.sealed()] == [4]
    assert not audited.verify().HasField("broken_link")


def test_nothing_younger_than_thirty_days_can_be_pruned(audited: Audit) -> None:
    with pytest.raises(psycopg.errors.RaiseException, match="at least 30 days"):
        audited.sql("SELECT prune_audit_entries(29)")


def test_old_entries_are_pruned_in_the_background(client: Client, audited: Audit, until) -> None:
    raise_some(client, 3)
    audited.seal()
    age_seals(audited, 3, 31)
    pruning = sealing.keep_pruning(audited.store, 30, seconds=0.1)
    assert until(lambda: audited.kept() == [], 30)
    pruning.close()


def test_a_chain_that_is_pruned_while_it_is_verified_is_whole(
    client: Client, audited: Audit
) -> None:
    raise_some(client, 3)
    audited.seal()
    client.raise_one()
    audited.seal()
    uid = audited.store.workspace_key(WorkspaceName.parse(WORKSPACE))
    walk = _Walk(audited.store.database, uid, None)
    age_seals(audited, 3, 31)
    sealing.prune_all(audited.store, 30)
    assert walk.run()
    assert (walk.broken, walk.count, walk.at.id) == (None, 1, 4)


def test_a_long_chain_is_verified_by_several_calls(client: Client, audited: Audit) -> None:
    raise_some(client, 600)
    audited.seal()
    entries = Collection(audited.store, AUDIT_ENTRY)
    request = VerifyAuditEntriesRequest(parent=WORKSPACE)
    answers = []
    while not answers or not answers[-1].done:
        with calling("VerifyAuditEntries", deadline=time.monotonic() + SPARE_SECONDS - 0.1):
            answers.append(verify(entries, request))
        request.checkpoint = answers[-1].checkpoint
    assert [answer.verified_count for answer in answers] == [250, 250, 100]
    assert answers[-1].checkpoint == audited.verify().checkpoint


@pytest.mark.parametrize(("days", "is_refused"), [(-1, True), (0, False), (29, True), (30, False)])
def test_a_retention_that_the_database_refuses_is_refused_at_the_start(
    database: str, days: int, is_refused: bool
) -> None:
    with pytest.raises(ValidationError) if is_refused else nullcontext():
        Settings(database_url=database, audit_retention_days=days)


def test_two_results_can_be_read_at_once_in_one_transaction(audited: Audit) -> None:
    numbers = Query(select(func.generate_series(1, 100)))
    with audited.store.database.transaction() as transaction:
        first, second = transaction.rows(numbers, {}), transaction.rows(numbers, {})
        assert list(zip(first, second, strict=True)) == [((n,), (n,)) for n in range(1, 101)]
