"""Connectors over gRPC, on a real database: what one may be, its revisions, and trying one."""

import threading
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import psycopg
import pytest
from google.protobuf.json_format import MessageToDict
from kintsugi.v1 import access_service_pb2
from kintsugi.v1 import connector_pb2 as pb
from kintsugi.v1 import connector_service_pb2 as service
from kintsugi.v1.member_pb2 import ROLE_APPROVER, Member
from kintsugi.v1.risk_pb2 import RISK_HIGH, RISK_MEDIUM

from tests.integration.auditing import Audit
from tests.integration.client import WORKSPACE, Client, reason, violations
from tests.targets import Answered, heard_all, raw, serving, unused_port

URL = "https://billing.example.com/v1/batches/{batch}"


class Connectors:
    """The connector service in the words of these tests."""

    def __init__(self, client: Client) -> None:
        self.stub = client.connectors

    def create(self, id: str = "", request_id: str = "", **fields: Any) -> pb.Connector:
        id = id or f"c-{uuid.uuid4().hex}"
        given = {"action_type": f"t{uuid.uuid4().hex}", "http": {"method": "POST", "url": URL}}
        return self.stub.CreateConnector(
            service.CreateConnectorRequest(
                parent=WORKSPACE,
                connector_id=id,
                connector=pb.Connector(**(given | fields)),
                request_id=request_id,
            )
        )

    def get(self, name: str) -> pb.Connector:
        return self.stub.GetConnector(service.GetConnectorRequest(name=name))

    def update(self, name: str, *mask: str, **fields: Any) -> pb.Connector:
        request = service.UpdateConnectorRequest(connector=pb.Connector(name=name, **fields))
        request.update_mask.paths.extend(mask)
        return self.stub.UpdateConnector(request)

    def delete(self, name: str, **fields: str) -> None:
        self.stub.DeleteConnector(service.DeleteConnectorRequest(name=name, **fields))

    def list(self, **parameters: Any) -> service.ListConnectorsResponse:
        return self.stub.ListConnectors(
            service.ListConnectorsRequest(parent=WORKSPACE, **parameters)
        )

    def test(self, name: str, **fields: Any) -> service.TestConnectorResponse:
        return self.stub.TestConnector(service.TestConnectorRequest(name=name, **fields))

    def refusal(self, **http: Any) -> dict[str, str]:
        """What is wrong with such a request."""
        with pytest.raises(grpc.RpcError) as raised:
            self.create(http={"method": "POST", "url": URL} | http)
        assert raised.value.code() is grpc.StatusCode.INVALID_ARGUMENT
        return violations(raised.value)


@pytest.fixture(scope="module")
def connectors(shared_client: Client) -> Connectors:
    return Connectors(shared_client)


def refused(call: Callable[[], Any]) -> tuple[str, str]:
    """The code and the reason of the error."""
    with pytest.raises(grpc.RpcError) as raised:
        call()
    return raised.value.code().name, reason(raised.value)


def test_a_connector_is_there_as_it_was_created(connectors: Connectors) -> None:
    http = {
        "method": "PUT",
        "url": URL,
        "headers": {"X-Why": "{exception.number}"},
        "body": '{"a": "{b}"}',
        "auth": {"secret": "env:KINTSUGI_SECRET_BILLING", "header": "X-Key"},
        "timeout": {"seconds": 2, "nanos": 500_000_000},
        "retry": {"max_attempts": 5, "initial_backoff": {"nanos": 200_000_000}},
        "idempotent": True,
        "success": {"statuses": [200, 409], "field": "a.b", "value": "done"},
        "allowed_hosts": ["*.example.com:443"],
        "allow_private": True,
    }
    made = connectors.create("whole", action_type="whole", title="A", http=http)
    assert made.name == f"{WORKSPACE}/connectors/whole"
    assert (made.revision, made.risk, made.etag) == (1, RISK_MEDIUM, "1")
    assert made.http == pb.HttpRequest(**http)
    assert connectors.get(made.name) == made
    assert connectors.list(filter="action_type = whole").connectors[:] == [made]


def test_an_id_and_an_action_type_are_of_one_connector(connectors: Connectors) -> None:
    made = connectors.create("once", action_type="once")
    for fields in ({"id": "once"}, {"action_type": "once"}):
        code = refused(lambda fields=fields: connectors.create(**fields))
        assert code == ("ALREADY_EXISTS", "RESOURCE_ALREADY_EXISTS")
    connectors.delete(made.name)
    assert connectors.create("twice", action_type="once").revision == 1


def test_of_two_at_once_for_one_type_one_is_made(connectors: Connectors) -> None:
    def attempt(_: int) -> str:
        try:
            return connectors.create(action_type="raced").name
        except grpc.RpcError as error:
            return error.code().name

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(attempt, range(8)))
    assert found.count("ALREADY_EXISTS") == 7


def test_a_repeated_request_makes_one(connectors: Connectors) -> None:
    first, second = (
        connectors.create("repeated", "request-1", action_type="repeated") for _ in range(2)
    )
    assert first == second
    again = refused(lambda: connectors.create("other", "request-1", action_type="repeated"))
    assert again == ("INVALID_ARGUMENT", "REQUEST_ID_REUSED")


def test_the_revision_counts_what_an_action_is_approved_with(connectors: Connectors) -> None:
    name = connectors.create().name
    assert connectors.update(name, "title", title="New").revision == 1
    assert connectors.update(name, "description", description="New").revision == 1
    assert connectors.update(name, "risk", risk=RISK_HIGH).revision == 2
    changed = connectors.update(name, "http", http={"method": "PUT", "url": URL})
    assert (changed.revision, changed.http.method) == (3, "PUT")
    assert connectors.update(name, "http", http={"method": "PUT", "url": URL}).revision == 3
    assert connectors.update(name, "risk").risk == RISK_MEDIUM


def test_a_stale_etag_changes_and_deletes_nothing(connectors: Connectors) -> None:
    made = connectors.create()
    connectors.update(made.name, "title", title="New")
    stale = ("ABORTED", "ETAG_MISMATCH")
    assert refused(lambda: connectors.update(made.name, title="B", etag=made.etag)) == stale
    assert refused(lambda: connectors.delete(made.name, etag=made.etag)) == stale
    connectors.delete(made.name)
    assert refused(lambda: connectors.get(made.name)) == ("NOT_FOUND", "RESOURCE_NOT_FOUND")


def test_the_action_type_stays(connectors: Connectors) -> None:
    name = connectors.create().name
    assert refused(lambda: connectors.update(name, "action_type", action_type="x"))[0] == (
        "INVALID_ARGUMENT"
    )


def test_a_list_is_by_id(connectors: Connectors) -> None:
    for id in ("b-listed", "a-listed", "c-listed"):
        connectors.create(id, title="to be listed")
    found = connectors.list(filter='title = "to be listed"', page_size=2)
    assert [each.name[-8:] for each in found.connectors] == ["a-listed", "b-listed"]
    assert found.total_size == 3


@pytest.mark.parametrize(
    ("http", "field"),
    [
        ({"method": "post"}, "method"),
        ({"method": "TRACE"}, "method"),
        ({"method": "GET", "body": "{}"}, "body"),
        ({"url": "ftp://x/"}, "url"),
        ({"url": "https://h/{"}, "url"),
        ({"url": "https://{host}/"}, "allowed_hosts"),
        ({"allowed_hosts": ["other.example.com"]}, "url"),
        ({"allowed_hosts": ["billing.example.com", "https://x"]}, "allowed_hosts"),
        ({"body": "{"}, "body"),
        ({"headers": {"X-A": "{"}}, "headers.X-A"),
        ({"headers": {"X A": "1"}}, "headers"),
        ({"headers": {"Host": "evil"}}, "headers"),
        ({"headers": {"content-LENGTH": "1"}}, "headers"),
        ({"headers": {"Transfer-Encoding": "chunked"}}, "headers"),
        ({"headers": {"Idempotency-Key": "1"}}, "headers"),
        ({"headers": {"Authorization": "Bearer abc"}}, "headers"),
        ({"headers": {"X-A": "1", "x-a": "2"}}, "headers"),
        ({"auth": {"secret": "abc"}}, "auth.secret"),
        ({"auth": {"secret": "env:PATH"}}, "auth.secret"),
        ({"auth": {"secret": "env:KINTSUGI_TOKEN"}}, "auth.secret"),
        ({"auth": {"secret": "file:../x"}}, "auth.secret"),
        ({"auth": {"secret": "file:/etc/passwd"}}, "auth.secret"),
        ({"auth": {"secret": "file:.."}}, "auth.secret"),
        ({"auth": {"secret": "file:a\n"}}, "auth.secret"),
        ({"auth": {"secret": "file:a", "header": "Host"}}, "auth.header"),
        ({"auth": {"secret": "file:a", "header": "A: b"}}, "auth.header"),
        ({"auth": {"secret": "file:a", "scheme": "a\r\nb"}}, "auth.scheme"),
        (
            {"auth": {"secret": "file:a", "header": "X-Key"}, "headers": {"x-key": "1"}},
            "auth.header",
        ),
        ({"timeout": {}}, "timeout"),
        ({"timeout": {"seconds": 301}}, "timeout"),
        ({"timeout": {"seconds": -1}}, "timeout"),
        ({"timeout": {"seconds": 2, "nanos": -1}}, "timeout"),
        ({"timeout": {"seconds": 2, "nanos": 1_000_000_000}}, "timeout"),
        ({"retry": {"initial_backoff": {"seconds": 2, "nanos": -1}}}, "retry.initial_backoff"),
        ({"retry": {"max_attempts": 11}}, "retry.max_attempts"),
        ({"retry": {"max_attempts": -1}}, "retry.max_attempts"),
        ({"retry": {"initial_backoff": {"seconds": 61}}}, "retry.initial_backoff"),
        ({"success": {"statuses": [199]}}, "success.statuses"),
        ({"success": {"statuses": [600]}}, "success.statuses"),
        ({"success": {"field": "a..b"}}, "success.field"),
        ({"success": {"value": "done"}}, "success.value"),
    ],
)
def test_what_can_be_no_request_is_refused_by_its_field(
    connectors: Connectors, http: dict[str, Any], field: str
) -> None:
    assert list(connectors.refusal(**http)) == [f"connector.http.{field}"]


@pytest.mark.parametrize(
    "action_type", ["", "Replay", "1x", "_x", "a-b", "a" * 64, "retry_run", "manual_review"]
)
def test_action_types_are_words(connectors: Connectors, action_type: str) -> None:
    with pytest.raises(grpc.RpcError) as raised:
        connectors.create(action_type=action_type)
    assert list(violations(raised.value)) == ["connector.action_type"]


def test_an_update_is_held_to_the_same_rules(connectors: Connectors) -> None:
    name = connectors.create().name
    with pytest.raises(grpc.RpcError) as raised:
        connectors.update(name, "http", http={"method": "POST", "url": "https://{h}/"})
    assert list(violations(raised.value)) == ["connector.http.allowed_hosts"]
    with pytest.raises(grpc.RpcError) as raised:
        connectors.update(name, "http")
    assert "connector.http.method" in violations(raised.value)


def test_changes_are_told_in_words_in_the_record_of_changes(client: Client, database: str) -> None:
    connectors = Connectors(client)
    name = connectors.create().name
    other = "https://evil.example.net/"
    connectors.update(name, "http", http={"method": "POST", "url": other})
    with psycopg.connect(database) as connection:
        row = connection.execute(
            "SELECT before->'http'->>'url', after->'http'->>'url' FROM changes"
            " WHERE resource = %s AND before IS NOT NULL",
            [name],
        ).fetchone()
    assert row == (URL, other)


# Trying one.


def test_a_test_shows_what_would_be_sent(connectors: Connectors, shared_client: Client) -> None:
    exception = shared_client.raise_one(message="disk full")
    body = '{"why": "{exception.message}", "n": "{n}"}'
    made = connectors.create(
        http={
            "method": "POST",
            "url": URL,
            "body": body,
            "auth": {"secret": "env:KINTSUGI_SECRET_X"},
        }
    )
    found = connectors.test(
        made.name, parameters={"batch": "b 7", "n": 3}, exception=exception.name
    )
    assert MessageToDict(found.request) == {
        "method": "POST",
        "url": "https://billing.example.com/v1/batches/b%207",
        "headers": {"Content-Type": "application/json"},
        "body": '{"why": "disk full", "n": 3}',
    }
    assert not found.HasField("result")


def test_a_test_says_what_is_missing(connectors: Connectors) -> None:
    name = connectors.create().name
    with pytest.raises(grpc.RpcError) as raised:
        connectors.test(name)
    assert violations(raised.value) == {"parameters.batch": "is missing"}


def test_a_test_sends_once_with_the_mark(
    start_server: Callable[..., Client], tmp_path: Path
) -> None:
    folder = tmp_path / "local" / "default"
    folder.mkdir(parents=True)
    (folder / "key").write_text("hidden-value")
    connectors = Connectors(start_server(secrets_dir=tmp_path))
    with serving(lambda heard: Answered(200, heard.headers)) as target:
        http = {
            "method": "POST",
            "url": f"{target.url}/{{x}}",
            "allow_private": True,
            "auth": {"secret": "file:key"},
        }
        made = connectors.create(http=http)
        found = connectors.test(made.name, parameters={"x": "a"}, send=True)
    [heard] = target.heard
    assert (heard.path, heard.headers["kintsugi-dry-run"]) == ("/a", "true")
    assert heard.headers["authorization"] == "Bearer hidden-value"
    assert found.result.success
    assert found.result.error == ""
    assert found.result.response["status"] == 200
    assert found.result.response["body"]["authorization"] == "Bearer [secret]"
    assert found.result.duration.ToNanoseconds() > 0
    assert not found.result.HasField("execute_time")
    assert "hidden" not in str(found)


def test_a_test_that_fails_says_why(connectors: Connectors) -> None:
    for private in (True, False):
        http = {"method": "GET", "url": f"http://127.0.0.1:{unused_port()}/"}
        made = connectors.create(http={**http, "allow_private": private})
        found = connectors.test(made.name, send=True)
        assert not found.result.success
        assert ("connection refused" if private else "is private") in found.result.error


def test_what_a_test_sent_is_in_the_audit(client: Client, database: str) -> None:
    connectors, audited = Connectors(client), Audit(client, database)
    with serving(lambda _: Answered(503)) as target:
        url = f"{target.url}/{{batch}}?k={{api_key}}"
        made = connectors.create(http={"method": "POST", "url": url, "allow_private": True})
        parameters = {"batch": "b-7", "api_key": "hidden-value"}
        connectors.test(made.name, parameters=parameters)
        connectors.test(made.name, parameters=parameters, send=True)
    [entry] = audited.sealed(filter='type = "connector.test"')
    audited.close()
    assert (entry.principal, entry.resource) == ("users/local", made.name)
    assert entry.method == "/kintsugi.v1.ConnectorService/TestConnector"
    assert entry.token
    assert entry.address == "127.0.0.1"
    assert MessageToDict(entry.after) == {
        "revision": 1,
        "parameters": {"batch": "b-7", "api_key": "***"},
        "exception": "",
        "outcome": "failed",
        "status": 503,
        "error": "the target answered 503 Service Unavailable",
    }


def test_a_test_whose_caller_has_gone_ends(connectors: Connectors) -> None:
    heard, ended = threading.Event(), threading.Event()

    def silent(connection: Any) -> None:
        heard_all(connection)
        heard.set()
        if connection.recv(1) == b"":
            ended.set()

    with raw(silent) as url:
        made = connectors.create(http={"method": "GET", "url": f"{url}/", "allow_private": True})
        request = service.TestConnectorRequest(name=made.name, send=True)
        call = connectors.stub.TestConnector.future(request)
        assert heard.wait(10)
        call.cancel()
        assert ended.wait(10)


def test_an_exception_of_a_test_is_of_the_workspace(connectors: Connectors) -> None:
    name = connectors.create().name
    elsewhere = "organizations/local/workspaces/elsewhere/exceptions/x"
    with pytest.raises(grpc.RpcError) as raised:
        connectors.test(name, parameters={"batch": "a"}, exception=elsewhere)
    assert list(violations(raised.value)) == ["exception"]
    missing = f"{WORKSPACE}/exceptions/x"
    found = refused(lambda: connectors.test(name, exception=missing))
    assert found == ("NOT_FOUND", "RESOURCE_NOT_FOUND")


def test_who_may_only_approve_can_neither_change_nor_try_one(client: Client) -> None:
    connectors = Connectors(client)
    name = connectors.create().name
    client.access.CreateMember(
        access_service_pb2.CreateMemberRequest(
            parent=WORKSPACE, member_id="ann", member=Member(role=ROLE_APPROVER)
        )
    )
    request = access_service_pb2.CreateAccessTokenRequest(
        parent=WORKSPACE,
        access_token={"role": ROLE_APPROVER, "principal": "users/ann", "title": "x"},
    )
    token = client.access.CreateAccessToken(request).token
    approver = Connectors(Client(client.port, token))
    assert approver.get(name).name == name
    lacking = ("PERMISSION_DENIED", "PERMISSION_LACKING")
    assert refused(approver.create) == lacking
    assert refused(lambda: approver.update(name, "title", title="x")) == lacking
    assert refused(lambda: approver.delete(name)) == lacking
    assert refused(lambda: approver.test(name, parameters={"batch": "a"}, send=True)) == lacking
