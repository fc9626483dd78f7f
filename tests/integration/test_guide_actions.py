"""What guide entries say about actions: versions of it, who may let one resolve by itself."""

import uuid
from collections.abc import Callable
from typing import Any

import grpc
import psycopg
import pytest
from google.protobuf.struct_pb2 import Struct
from kintsugi.v1 import guide_entry_pb2 as pb
from kintsugi.v1.connector_service_pb2 import CreateConnectorRequest
from kintsugi.v1.member_pb2 import ROLE_APPROVER, ROLE_RESPONDER
from kintsugi.v1.risk_pb2 import RISK_HIGH

from server.domain.fingerprint import fingerprint
from tests.integration.client import WORKSPACE, Client, reason, violations
from tests.integration.sessions import TYPE, change_connector, connect, delete_connector
from tests.integration.test_access import add, make_token
from tests.integration.test_guide_entries import AUTOMATION, Guides, drafts, raise_one

MESSAGE = "invoice 1003 of Initech has no total"


@pytest.fixture(scope="module")
def guides(shared_client: Client) -> Guides:
    return Guides(shared_client)


@pytest.fixture(scope="module")
def source(shared_client: Client) -> str:
    """An exception to learn from."""
    return shared_client.raise_one(run=f"{AUTOMATION}/runs/1", message=MESSAGE).name


def role(client: Client, role: int) -> Guides:
    """The same service, called by somebody of a role."""
    id = f"u-{uuid.uuid4().hex[:8]}"
    add(client, id, role)
    token = make_token(client, role, principal=f"users/{id}").token
    return Guides(Client(client.port, token))


def fingerprints(database: str, name: str) -> list[bytes | None]:
    """That of the entry, then those of its versions, oldest first."""
    id = name.rpartition("/")[2]
    with psycopg.connect(database) as connection:
        of_entry = connection.execute("SELECT fingerprint FROM guide_entries WHERE id = %s", [id])
        of_versions = connection.execute(
            "SELECT fingerprint FROM guide_entry_revisions WHERE id = %s ORDER BY major, minor",
            [id],
        )
        return [row[0] for row in (*of_entry, *of_versions)]


def test_an_entry_says_which_action_resolves_it(guides: Guides, source: str) -> None:
    said: dict[str, Any] = {
        "action_type": "reprocess_usage_batch",
        "action_parameters": {"batch": "b-7", "deep": [{"n": 1.5}, None, True]},
        "action_risk": RISK_HIGH,
        "self_resolving": True,
    }
    made = guides.create(source_exception=source, **said)
    assert guides.get(made.name) == made
    expected = pb.GuideEntry(**said)
    assert [getattr(made, field) for field in said] == [getattr(expected, field) for field in said]
    plain = guides.create()
    assert not plain.HasField("action_parameters")


def test_what_it_says_about_the_action_is_part_of_the_version(guides: Guides) -> None:
    name = guides.create(action_type="one", action_parameters={"a": 1}).name
    guides.act("Approve", name)
    changed = guides.update(name, action_parameters={"b": 2})
    assert (changed.version, dict(changed.action_parameters)) == ("1.1", {"b": 2})
    assert guides.update(name, action_type="two", action_risk=RISK_HIGH).version == "1.2"
    assert guides.update(name, "action_parameters", action_parameters={"b": 2}).version == "1.2"
    versions = guides.revisions(name).guide_entries
    assert [each.action_type for each in versions] == ["two", "one", "one", "one"]
    assert [dict(each.action_parameters) for each in versions] == [{"b": 2}] * 2 + [{"a": 1}] * 2


def test_empty_parameters_are_none(guides: Guides) -> None:
    name = guides.create(action_type="one").name
    same = guides.update(name, "action_parameters", action_parameters=Struct())
    assert same.version == "0.1"
    assert not same.HasField("action_parameters")


@pytest.mark.parametrize(
    ("fields", "wrong"),
    [
        ({"action_type": "No Type"}, "action_type"),
        ({"self_resolving": True}, "self_resolving"),
        ({"action_type": "a", "action_parameters": {"a": "x" * 65_537}}, "action_parameters"),
        ({"action_type": "a", "action_parameters": {"a": ["\0"]}}, "action_parameters.a[0]"),
        ({"action_type": "a", "action_parameters": {"a": float("nan")}}, "action_parameters.a"),
        (
            {
                "action_type": "retry_run",
                "self_resolving": True,
                "source_exception": f"{WORKSPACE}/exceptions/none",
            },
            "source_exception",
        ),
    ],
)
def test_what_is_wrong_is_named(guides: Guides, fields: dict[str, Any], wrong: str) -> None:
    with pytest.raises(grpc.RpcError) as error:
        guides.create(**fields)
    assert set(violations(error.value)) == {f"guide_entry.{wrong}"}


def test_an_update_can_not_take_away_what_self_resolving_needs(guides: Guides, source: str) -> None:
    name = guides.create(source_exception=source, action_type="retry_run", self_resolving=True).name
    for action_type in ("", "manual_review"):
        with pytest.raises(grpc.RpcError) as error:
            guides.update(name, "action_type", action_type=action_type)
        assert list(violations(error.value)) == ["guide_entry.self_resolving"]


def test_only_who_may_approve_lets_an_entry_resolve_by_itself(
    shared_client: Client, source: str
) -> None:
    responder = role(shared_client, ROLE_RESPONDER)
    approver = role(shared_client, ROLE_APPROVER)
    said = {"source_exception": source, "action_type": "retry_run"}
    with pytest.raises(grpc.RpcError) as error:
        responder.create(self_resolving=True, **said)
    assert reason(error.value) == "PERMISSION_LACKING"
    name = responder.create(**said).name
    with pytest.raises(grpc.RpcError) as error:
        responder.update(name, self_resolving=True)
    assert error.value.code() is grpc.StatusCode.PERMISSION_DENIED
    assert not responder.get(name).self_resolving
    assert approver.update(name, self_resolving=True).self_resolving
    assert responder.update(name, title="else").self_resolving
    with pytest.raises(grpc.RpcError) as error:
        responder.update(name, "self_resolving")
    assert reason(error.value) == "PERMISSION_LACKING"
    assert approver.create(self_resolving=True, **said).self_resolving


def test_lists_are_filtered_by_action(client: Client) -> None:
    own = Guides(client)
    source = client.raise_one(run=f"{AUTOMATION}/runs/1").name
    retry = own.create(action_type="retry_run", source_exception=source, self_resolving=True).name
    other = own.create(action_type="reprocess").name
    plain = own.create().name
    for text, expected in (
        ("action_type = retry_run", [retry]),
        ("action_type:*", [other, retry]),
        ("NOT action_type:*", [plain]),
        ("self_resolving = true", [retry]),
        ("self_resolving = false", [plain, other]),
    ):
        found = own.list(filter=text).guide_entries
        assert [each.name for each in found] == expected, text


def test_an_entry_knows_the_fingerprint_of_what_it_was_learned_from(
    database: str, client: Client
) -> None:
    guides, own = Guides(client), fingerprint(MESSAGE)
    source = raise_one(client, message=MESSAGE)
    made = guides.create(source_exception=source.name).name
    assert fingerprints(database, made) == [own, own]
    client.resolve(source.name, resolution_note="Added the total.")
    [drafted] = drafts(guides, source)
    assert fingerprints(database, drafted.name) == [own, own]
    unknown = guides.create(source_exception=f"{WORKSPACE}/exceptions/none").name
    assert fingerprints(database, unknown) == [None, None]


def test_an_old_entry_learns_its_fingerprint_when_it_is_to_resolve_by_itself(
    database: str, client: Client
) -> None:
    guides = Guides(client)
    source = client.raise_one(run=f"{AUTOMATION}/runs/1", message=MESSAGE).name
    name = guides.create(source_exception=source, action_type="retry_run").name
    with psycopg.connect(database) as connection:
        connection.execute("UPDATE guide_entries SET fingerprint = NULL")
        connection.execute("UPDATE guide_entry_revisions SET fingerprint = NULL")
    guides.update(name, self_resolving=True)
    assert fingerprints(database, name) == [fingerprint(MESSAGE), None, fingerprint(MESSAGE)]


# What an approval is bound to


def seen(database: str, name: str, version: int) -> tuple[str, int]:
    """The connector that the approver of a version saw."""
    with psycopg.connect(database) as connection:
        [row] = connection.execute(
            "SELECT connector, connector_revision FROM guide_entry_revisions"
            " WHERE id = %s AND major = %s AND minor = 0",
            [name.rpartition("/")[2], version],
        )
        return row


def standing(client: Client, **fields: Any) -> str:
    """An entry of the type TYPE that is to resolve by itself; answers its name."""
    source = client.raise_one(run=f"{AUTOMATION}/runs/1", message=MESSAGE).name
    said = {"source_exception": source, "action_type": TYPE, "self_resolving": True}
    return Guides(client).create(**(said | fields)).name


def refusal(call: Callable[[], Any]) -> str:
    """Why a call is refused in the state in which things are."""
    with pytest.raises(grpc.RpcError) as error:
        call()
    assert error.value.code() is grpc.StatusCode.FAILED_PRECONDITION
    return str(error.value.details())


def test_what_is_riskier_than_the_entry_says_is_not_approved_in_advance(
    database: str, client: Client
) -> None:
    connect(client)  # at high risk
    guides, name = Guides(client), standing(client)
    why = refusal(lambda: guides.act("Approve", name))
    assert why == (
        "reprocess_usage_batch has HIGH risk, and the entry allows LOW: to let it resolve by"
        " itself, set `action_risk`"
    )
    guides.update(name, action_risk=RISK_HIGH)
    assert guides.act("Approve", name).version == "1.0"
    assert seen(database, name, 1) == ("billing", 1)


def test_each_approval_is_about_the_connector_as_it_is_then(database: str, client: Client) -> None:
    connector = connect(client)
    guides, name = Guides(client), standing(client, action_risk=RISK_HIGH)
    guides.act("Approve", name)
    change_connector(client, connector)
    guides.update(name, title="Again")
    guides.act("Approve", name)
    assert (seen(database, name, 1), seen(database, name, 2)) == (("billing", 1), ("billing", 2))
    guides.update(name, "self_resolving")
    guides.act("Approve", name)
    assert seen(database, name, 3) == ("", 0)


@pytest.mark.parametrize(
    "http",
    [
        {"body": '{"why": {"text": "because of {exception.message}"}}'},
        {"body": '["{exception.\\u006dessage}"]'},
        {"url": "http://billing.example/{exception.extra.batch}"},
        {"headers": {"X-Why": "{exception.extra.why}"}},
    ],
)
def test_what_others_word_freely_is_not_approved_in_advance(
    client: Client, http: dict[str, Any]
) -> None:
    connect(client, **http)
    name = standing(client, action_risk=RISK_HIGH)
    assert "the message or the extra" in refusal(lambda: Guides(client).act("Approve", name))


def test_only_what_there_is_may_resolve_by_itself(client: Client) -> None:
    guides = Guides(client)
    with pytest.raises(grpc.RpcError) as error:
        standing(client, action_type="reprocces")
    assert "no connector carries it out" in violations(error.value)["guide_entry.action_type"]
    name = standing(client, action_type="retry_run")
    with pytest.raises(grpc.RpcError) as error:
        guides.update(name, action_type="reprocces")
    assert list(violations(error.value)) == ["guide_entry.action_type"]
    made = {"action_type": "own_type", "http": {"method": "POST", "url": "http://x.example/"}}
    connector = client.connectors.CreateConnector(
        CreateConnectorRequest(parent=WORKSPACE, connector_id="own", connector=made)
    )
    guides.update(name, action_type="own_type")
    delete_connector(client, connector.name)
    assert "no connector carries it out" in refusal(lambda: guides.act("Approve", name))


@pytest.mark.parametrize(
    "change",
    [
        {"action_type": "reprocess_usage_batch"},
        {"action_parameters": {"batch": "all"}},
        {"action_risk": RISK_HIGH},
    ],
)
def test_who_may_not_approve_and_changes_the_action_takes_the_approval_away(
    shared_client: Client, source: str, change: dict[str, Any]
) -> None:
    responder = role(shared_client, ROLE_RESPONDER)
    approver = role(shared_client, ROLE_APPROVER)
    said = {"source_exception": source, "action_type": "retry_run", "self_resolving": True}
    name = approver.create(**said).name
    changed = responder.update(name, **change)
    assert (changed.self_resolving, changed.version) == (False, "0.2")
    other = approver.create(**said).name
    assert approver.update(other, **change).self_resolving
