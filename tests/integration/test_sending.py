"""What leaves for a target system, and what is known of it afterwards: with real ones."""

import gzip
import json
import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from kintsugi.v1 import connector_pb2 as pb

from server.domain.names import WorkspaceName
from server.domain.request_template import render, values_of
from server.outbound import connecting
from server.outbound.outcome import Kind, Outcome
from server.outbound.secrets import HOME
from server.outbound.sending import Sender, may_repeat
from tests import certificates
from tests.targets import Answered, Heard, heard_all, raw, serving, unused_port

SECRET = 's3cr"et/ü+'


def send(url: str, sender: Sender | None = None, **options: Any) -> Outcome:
    """What came of a POST; options of the sender and fields of the connector by their names."""
    terms = {
        name: options.pop(name)
        for name in ("seconds", "cancelled", "unwanted", "is_dry_run", "workspace")
        if name in options
    }
    fields = {"method": "POST", "allow_private": True} | options
    http = pb.HttpRequest(url=url, **fields)
    request = render(http, values_of({}, None, "an action")).request
    terms = {"workspace": HOME, "idempotency_key": "key-1", "seconds": 5} | terms
    return (sender or Sender()).send(http, request, **terms)


@pytest.fixture
def sender(tmp_path: Path) -> Sender:
    folder(tmp_path, HOME).joinpath("billing").write_text(f"{SECRET}\n")
    return Sender(tmp_path)


def folder(directory: Path, workspace: WorkspaceName) -> Path:
    """Where the secrets of a workspace are."""
    found = directory / workspace.organization / workspace.workspace
    found.mkdir(parents=True, exist_ok=True)
    return found


def test_a_target_hears_what_was_rendered_and_the_key() -> None:
    with serving(lambda _: Answered(200, {"done": True})) as target:
        outcome = send(
            f"{target.url}/v1/b%20c?x=1",
            body='{"a": "ü"}',
            headers={"X-Why": "ö"},
            is_dry_run=True,
        )
    assert outcome == Outcome(Kind.SUCCEEDED, {"status": 200, "body": {"done": True}}, "")
    [heard] = target.heard
    assert (heard.method, heard.path, heard.body) == ("POST", "/v1/b%20c?x=1", '{"a": "ü"}')
    assert heard.headers["idempotency-key"] == "key-1"
    assert heard.headers["kintsugi-dry-run"] == "true"
    assert heard.headers["content-type"] == "application/json"
    assert heard.headers["host"] == f"127.0.0.1:{target.port}"
    assert "cookie" not in heard.headers


def test_what_is_no_dry_run_has_no_mark() -> None:
    with serving() as target:
        send(target.url)
    assert "kintsugi-dry-run" not in target.heard[0].headers


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        *((each, Kind.SUCCEEDED) for each in (200, 201, 204, 299)),
        *((each, Kind.FAILED) for each in (300, 304, 400, 404, 409, 429, 500, 503)),
    ],
)
def test_success_is_a_status_of_the_two_hundreds(status: int, kind: Kind) -> None:
    with serving(lambda _: Answered(status)) as target:
        outcome = send(target.url)
    assert outcome.kind is kind
    assert (str(status) in outcome.error) == (kind is Kind.FAILED)
    assert outcome.response == {"status": status}


def test_success_may_be_other_statuses() -> None:
    with serving(lambda _: Answered(409, "there already")) as target:
        assert send(target.url, success={"statuses": [409]}).kind is Kind.SUCCEEDED
        assert send(target.url, success={"statuses": [200]}).kind is Kind.FAILED


@pytest.mark.parametrize(
    ("body", "success", "is_right"),
    [
        ({"result": {"state": "done"}}, {"field": "result.state", "value": "done"}, True),
        ({"result": {"state": "failed"}}, {"field": "result.state", "value": "done"}, False),
        ({"result": {"state": None}}, {"field": "result.state"}, True),
        ({"result": 1}, {"field": "result.state"}, False),
        ({"count": 3}, {"field": "count", "value": "3"}, True),
        ({"ok": True}, {"field": "ok", "value": "true"}, True),
        ([1], {"field": "ok"}, False),
        (b"done", {"field": "ok"}, False),
        (b"", {"field": "ok"}, False),
    ],
)
def test_success_may_be_a_field_of_the_answer(
    body: Any, success: dict[str, str], is_right: bool
) -> None:
    with serving(lambda _: Answered(200, body)) as target:
        outcome = send(target.url, success=success)
    assert (outcome.kind is Kind.SUCCEEDED) == is_right
    assert bool(outcome.error) != is_right


def test_redirects_are_answers_and_not_followed() -> None:
    with serving() as inside:
        to_it = {"location": f"{inside.url}/secret"}
        with serving(lambda _: Answered(302, headers=to_it)) as target:
            outcome = send(target.url)
    assert outcome.kind is Kind.FAILED
    assert "redirects aren't followed" in outcome.error
    assert inside.heard == []


def test_proxies_of_the_environment_are_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{unused_port()}")
    with serving() as target:
        assert send(target.url).kind is Kind.SUCCEEDED


# What never left.


def test_private_addresses_are_refused() -> None:
    with serving() as target:
        for host in ("127.0.0.1", "localhost", "2130706433", "0x7f.1", "[::ffff:127.0.0.1]"):
            outcome = send(f"http://{host}:{target.port}/", allow_private=False)
            assert outcome.kind is Kind.REFUSED
            assert "refused" in outcome.error
    assert target.heard == []


def test_a_host_of_which_one_address_is_private_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def both(host: str, port: int, **_: Any) -> list[Any]:
        stream = (socket.AF_INET, socket.SOCK_STREAM, 6, "")
        return [(*stream, (address, port)) for address in ("93.184.215.14", "127.0.0.1")]

    monkeypatch.setattr(socket, "getaddrinfo", both)
    with serving() as target:
        outcome = send(f"http://mixed.example.com:{target.port}/", allow_private=False)
    assert outcome.kind is Kind.REFUSED
    assert "127.0.0.1" in outcome.error
    assert target.heard == []


def test_a_name_is_looked_up_once_so_that_it_cannot_mean_something_else_then(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A resolver whose second answer would lead inside is asked only once."""
    asked: list[str] = []
    real = socket.getaddrinfo

    def rebinding(host: str, port: int, **_: Any) -> list[Any]:
        asked.append(host)
        address = "127.0.0.1" if len(asked) == 1 else "127.0.0.2"
        return list(real(address, port, type=socket.SOCK_STREAM))

    monkeypatch.setattr(socket, "getaddrinfo", rebinding)
    with serving() as target:
        outcome = send(f"http://rebinding.example.com:{target.port}/")
    assert outcome.kind is Kind.SUCCEEDED
    assert asked == ["rebinding.example.com"]
    assert target.heard[0].headers["host"] == f"rebinding.example.com:{target.port}"


def test_nothing_leaves_for_a_port_that_nobody_listens_on() -> None:
    outcome = send(f"http://127.0.0.1:{unused_port()}/")
    assert (outcome.kind, outcome.response) == (Kind.UNSENT, None)
    assert "connection refused" in outcome.error


def test_of_several_addresses_one_that_is_dead_costs_only_its_share(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with serving() as target, socket.socket() as dead, socket.socket() as filler:
        dead.bind(("127.0.0.2", target.port))
        dead.listen(0)
        filler.connect(("127.0.0.2", target.port))
        stream = (socket.AF_INET, socket.SOCK_STREAM, 6, "")
        both = [(*stream, (address, target.port)) for address in ("127.0.0.2", "127.0.0.1")]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: both)
        outcome = send(f"http://two.example.com:{target.port}/", seconds=2)
        assert (outcome.kind, len(target.heard)) == (Kind.SUCCEEDED, 1)
        both.pop()
        outcome = send(f"http://two.example.com:{target.port}/", seconds=0.3)
    assert outcome.kind is Kind.UNSENT


def test_nothing_leaves_for_a_name_that_does_not_exist() -> None:
    outcome = send("http://nowhere.invalid/")
    assert outcome.kind is Kind.UNSENT
    assert "has no address" in outcome.error


def test_a_request_that_was_rendered_for_another_host_is_not_sent() -> None:
    with serving() as target, serving() as other:
        http = pb.HttpRequest(method="GET", url=f"{target.url}/", allow_private=True)
        request = render(http, {}).request
        request.url = f"{other.url}/"
        outcome = Sender().send(http, request, workspace=HOME, idempotency_key="k", seconds=5)
    assert outcome.kind is Kind.REFUSED
    assert target.heard == other.heard == []


def test_the_allow_list_holds_for_what_is_sent() -> None:
    terms: dict[str, Any] = {"workspace": HOME, "idempotency_key": "k", "seconds": 5}
    with serving() as target:
        http = pb.HttpRequest(
            method="GET", url=f"{target.url}/", allow_private=True, allowed_hosts=["127.0.0.1"]
        )
        request = render(http, {}).request
        assert Sender().send(http, request, **terms).kind is Kind.SUCCEEDED
        http.allowed_hosts[:] = [f"127.0.0.1:{target.port + 1}"]
        assert Sender().send(http, request, **terms).kind is Kind.REFUSED
    assert len(target.heard) == 1


@pytest.mark.parametrize(
    "secret",
    [
        "env:KINTSUGI_SECRET_UNSET",
        "file:none",
        "file:sub",
        "file:broken",
        "env:PATH",
        "env:KINTSUGI_SECRET_NO_UTF8",
    ],
)
def test_nothing_leaves_without_its_secret(
    tmp_path: Path, secret: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = folder(tmp_path, HOME)
    (own / "sub").mkdir()
    (own / "broken").write_bytes(b"a\r\nX-Evil: 1")
    monkeypatch.setenv("KINTSUGI_SECRET_NO_UTF8", os.fsdecode(b"no \xff"))
    with serving() as target:
        outcome = send(target.url, Sender(tmp_path), auth={"secret": secret})
    assert outcome.kind is Kind.REFUSED
    assert target.heard == []


def test_a_cancelled_attempt_never_begins() -> None:
    cancelled = threading.Event()
    cancelled.set()
    with serving() as target:
        assert send(target.url, cancelled=cancelled).kind is Kind.UNSENT
    assert target.heard == []


def test_an_unwanted_attempt_that_has_not_left_yet_never_does() -> None:
    unwanted = threading.Event()
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full:
        host, port = full.getsockname()
        with closing(socket.create_connection((host, port))):  # the only place in its queue
            threading.Timer(0.3, unwanted.set).start()
            outcome = send(f"http://{host}:{port}/late", seconds=100, unwanted=unwanted)
    assert outcome.kind is Kind.UNSENT
    assert "cancelled" in outcome.error


def test_an_unwanted_attempt_that_has_left_ends_as_it_ends() -> None:
    unwanted = threading.Event()

    def answering(connection: socket.socket) -> None:
        heard_all(connection)
        unwanted.set()
        time.sleep(0.3)
        connection.sendall(HEAD + b"Content-Length: 0\r\n\r\n")

    with raw(answering) as url:
        assert send(url, seconds=100, unwanted=unwanted).kind is Kind.SUCCEEDED


# What left, with nobody knowing what came of it.


def test_a_target_that_never_answers_is_left_after_the_time() -> None:
    began = threading.Event()

    def silent(connection: socket.socket) -> None:
        heard_all(connection)
        began.set()
        connection.recv(1)

    with raw(silent) as url:
        outcome = send(url, seconds=0.3)
    assert began.is_set()
    assert (outcome.kind, outcome.response) == (Kind.CUT_OFF, None)
    assert "0.3 s" in outcome.error


def test_the_time_is_of_all_of_it_and_not_of_each_byte() -> None:
    def trickling(connection: socket.socket) -> None:
        heard_all(connection)
        try:
            for byte in b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n" + b"x" * 100:
                connection.send(bytes([byte]))
                time.sleep(0.05)
        except OSError:
            pass

    with raw(trickling) as url:
        begin = time.monotonic()
        outcome = send(url, seconds=0.5)
    assert outcome.kind is Kind.CUT_OFF
    assert time.monotonic() - begin < 5  # it would take seven


def test_a_cancelled_attempt_ends_although_no_answer_came() -> None:
    cancelled = threading.Event()

    def silent(connection: socket.socket) -> None:
        heard_all(connection)
        cancelled.set()
        connection.recv(1)

    with raw(silent) as url:
        outcome = send(url, seconds=100, cancelled=cancelled)
    assert outcome.kind is Kind.CUT_OFF
    assert "cancelled" in outcome.error


HEAD = b"HTTP/1.1 200 OK\r\n"


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTTP/1.1 200",
        HEAD,
        HEAD + b"Content-Length: 0\r\n",
        b"no HTTP at all\r\n\r\n",
        HEAD + b"Content-Length: 10\r\n\r\nhalf",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhel",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n-5\r\nhello",
        HEAD + b"X: " + b"y" * 100_000 + b"\r\n\r\n",
    ],
)
def test_an_answer_that_breaks_off_says_nothing_about_what_was_done(answer: bytes) -> None:
    def broken(connection: socket.socket) -> None:
        heard_all(connection)
        connection.sendall(answer)

    with raw(broken) as url:
        outcome = send(url)
    assert outcome.kind is Kind.CUT_OFF
    assert outcome.error


def test_a_refusal_that_breaks_off_is_a_refusal() -> None:
    def broken(connection: socket.socket) -> None:
        heard_all(connection)
        connection.sendall(b"HTTP/1.1 500 Oh\r\nContent-Length: 10\r\n\r\nhalf")

    with raw(broken) as url:
        outcome = send(url)
    assert outcome.kind is Kind.FAILED
    assert outcome.response == {"status": 500, "body": "half"}


def test_a_connection_that_is_reset_once_it_was_used_is_cut_off() -> None:
    def reset(connection: socket.socket) -> None:
        heard_all(connection)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")

    with raw(reset) as url:
        assert send(url).kind is Kind.CUT_OFF


# What is kept of an answer.


def test_of_a_large_answer_the_beginning_is_kept() -> None:
    with serving(lambda _: Answered(200, b"x" * 300_000)) as target:
        outcome = send(target.url)
    assert outcome.kind is Kind.SUCCEEDED
    assert outcome.response == {"status": 200, "body": "x" * 65536}


def test_an_endless_answer_is_not_read_to_its_end() -> None:
    def endless(connection: socket.socket) -> None:
        heard_all(connection)
        try:
            connection.sendall(HEAD + b"\r\n")
            while True:
                connection.sendall(b"x" * 65536)
        except OSError:
            pass

    with raw(endless) as url:
        outcome = send(url, seconds=60)
    assert outcome.kind is Kind.SUCCEEDED
    assert outcome.response is not None
    assert len(outcome.response["body"]) == 65536


def test_endless_chunks_of_no_length_are_not_kept_in_memory() -> None:
    def endless(connection: socket.socket) -> None:
        heard_all(connection)
        try:
            connection.sendall(HEAD + b"Transfer-Encoding: chunked\r\n\r\n-1\r\n")
            while True:
                connection.sendall(b"x" * 65536)
        except OSError:
            pass

    with raw(endless) as url:
        outcome = send(url, seconds=60)
    assert outcome.kind is Kind.CUT_OFF
    assert "more than 2097152 bytes" in outcome.error


def test_packed_answers_are_not_unpacked() -> None:
    bomb = gzip.compress(b"\0" * 50_000_000)
    packed = Answered(200, bomb, {"content-encoding": "gzip"})
    with serving(lambda _: packed) as target:
        outcome = send(target.url)
    assert target.heard[0].headers["accept-encoding"] == "identity"
    assert outcome.response is not None
    assert len(outcome.response["body"]) <= 65536


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 60_000,
        b"[" * 100 + b"]" * 100,
        b'{"a": NaN}',
        b'{"a": 1e999}',
        b"1" * 60_000,
        b'"\\ud800"',
        b'{"\\u0000": "\\u0000"}',
        b"\xff\xfe\0",
    ],
)
def test_odd_answers_can_be_kept(body: bytes) -> None:
    from kintsugi.v1 import action_pb2

    with serving(lambda _: Answered(200, body)) as target:
        outcome = send(target.url)
    result = action_pb2.Action.Result(response=outcome.response)
    assert action_pb2.Action.Result.FromString(result.SerializeToString()) == result
    assert "\0" not in json.dumps(outcome.response, ensure_ascii=False)


# Secrets.


def echo(heard: Heard) -> Answered:
    return Answered(200, {"heard": heard.headers, heard.headers["authorization"]: 1})


def test_a_secret_is_sent_and_not_told(sender: Sender, tmp_path: Path) -> None:
    folder(tmp_path, HOME).joinpath("billing").write_text("s3cret-value")
    with serving(echo) as target:
        outcome = send(target.url, sender, auth={"secret": "file:billing"})
    assert target.heard[0].headers["authorization"] == "Bearer s3cret-value"
    assert outcome.kind is Kind.SUCCEEDED
    assert "s3cret" not in repr(outcome)
    assert "Bearer [secret]" in repr(outcome)


def test_a_workspace_sends_no_secret_of_another(
    sender: Sender, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KINTSUGI_SECRET_X", "abc")
    (tmp_path / "billing").write_text("everybody's")
    others = [WorkspaceName("local", "other"), WorkspaceName("other", "default")]
    with serving() as target:
        for workspace in others:
            for secret in ("file:billing", "env:KINTSUGI_SECRET_X"):
                outcome = send(target.url, sender, auth={"secret": secret}, workspace=workspace)
                assert outcome.kind is Kind.REFUSED
        folder(tmp_path, others[0]).joinpath("billing").write_text("its own")
        auth = {"secret": "file:billing"}
        assert send(target.url, sender, auth=auth, workspace=others[0]).kind is Kind.SUCCEEDED
    [heard] = target.heard
    assert heard.headers["authorization"] == "Bearer its own"


def test_a_secret_of_the_environment_may_go_into_a_header_of_its_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("KINTSUGI_SECRET_X", "abc")
    auth = {"secret": "env:KINTSUGI_SECRET_X", "header": "X-Api-Key"}
    with serving() as target:
        send(target.url, auth=auth)
        send(target.url, auth=auth | {"scheme": "Token"})
    assert [heard.headers["x-api-key"] for heard in target.heard] == ["abc", "Token abc"]


@pytest.mark.parametrize(
    "answer",
    [
        json.dumps({"was": f"Bearer {SECRET}"}).encode(),
        json.dumps({"was": SECRET}, ensure_ascii=False).encode(),
        f"you said {SECRET}, I think".encode(),
        json.dumps({"was": SECRET.encode().decode("latin-1")}).encode(),
        b"/path?key=s3cr%22et%2F%C3%BC%2B",
        b'{"was": "s3\\u0063r\\"et\\/\\u00fc+"}',
        b"x" * 65_530 + SECRET.encode(),
        b"x" * (1024 * 1024 - 4) + SECRET.encode(),
    ],
)
def test_a_secret_that_a_target_says_is_masked(sender: Sender, answer: bytes) -> None:
    for status in (200, 500):
        with serving(lambda _, status=status: Answered(status, answer)) as target:
            outcome = send(target.url, sender, auth={"secret": "file:billing"})
        assert "s3c" not in repr(outcome)


def test_half_a_secret_at_the_end_of_half_an_answer_is_not_kept(sender: Sender) -> None:
    def broken(connection: socket.socket) -> None:
        heard_all(connection)
        connection.sendall(b"HTTP/1.1 500 Oh\r\nContent-Length: 90\r\n\r\nyou were so wrong: s3cr")

    with raw(broken) as url:
        outcome = send(url, sender, auth={"secret": "file:billing"})
    assert outcome.response is not None
    assert outcome.response["body"].startswith("you were")
    assert "s3" not in outcome.response["body"]


def test_a_secret_in_the_field_that_decides_is_masked(sender: Sender) -> None:
    with serving(lambda _: Answered(200, {"state": SECRET})) as target:
        success = {"field": "state", "value": "done"}
        outcome = send(target.url, sender, auth={"secret": "file:billing"}, success=success)
    assert outcome.kind is Kind.FAILED
    assert "s3c" not in repr(outcome)


# TLS.


@pytest.fixture
def files(tmp_path: Path) -> certificates.Files:
    return certificates.make(tmp_path)


@pytest.fixture
def trusting(
    files: certificates.Files, monkeypatch: pytest.MonkeyPatch
) -> Iterator[certificates.Files]:
    """The tests' authority is one of the system's."""
    monkeypatch.setenv("SSL_CERT_FILE", str(files.authority))
    connecting._tls.cache_clear()
    yield files
    connecting._tls.cache_clear()


def test_https_is_spoken_with_who_has_the_right_certificate(
    trusting: certificates.Files,
) -> None:
    large = json.dumps({"text": "x" * 200_000})
    with serving(lambda heard: Answered(200, {"got": len(heard.body)}), tls=trusting) as target:
        outcome = send(f"https://localhost:{target.port}/", body=large)
    assert outcome.response == {"status": 200, "body": {"got": len(large)}}


def test_nothing_leaves_for_who_has_none(files: certificates.Files) -> None:
    with serving(tls=files) as target:
        outcome = send(f"https://localhost:{target.port}/")
    assert outcome.kind is Kind.REFUSED
    assert "TLS" in outcome.error
    assert target.heard == []


def test_nothing_leaves_for_who_has_that_of_another(
    trusting: certificates.Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = socket.getaddrinfo
    monkeypatch.setattr(
        socket, "getaddrinfo", lambda _, port, **more: real("127.0.0.1", port, **more)
    )
    with serving(tls=trusting) as target:
        outcome = send(f"https://billing.example.com:{target.port}/")
    assert outcome.kind is Kind.REFUSED
    assert "TLS" in outcome.error
    assert target.heard == []


def test_who_never_ends_the_greeting_is_left_after_the_time() -> None:
    with raw(lambda connection: connection.recv(1 << 20) and connection.recv(1)) as url:
        outcome = send(url.replace("http:", "https:"), seconds=0.3)
    assert outcome.kind is Kind.UNSENT


# Repeating.


@pytest.mark.parametrize(
    ("method", "is_safe"),
    [("GET", True), ("HEAD", True), ("PUT", True), ("DELETE", True), ("POST", False)],
)
def test_what_may_be_repeated(method: str, is_safe: bool) -> None:
    assert may_repeat(pb.HttpRequest(method=method)) == is_safe
    assert may_repeat(pb.HttpRequest(method=method, idempotent=True))
