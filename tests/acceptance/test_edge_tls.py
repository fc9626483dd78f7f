"""TLS on Envoy's port, and callers whom an identity provider vouches for, through it."""

import os
import signal
import socket
import ssl
import subprocess
import uuid
import warnings
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest
from kintsugi.v1 import access_service_pb2, member_pb2
from kintsugi.v1 import exception_service_pb2 as service
from kintsugi.v1.access_service_pb2_grpc import AccessServiceStub
from kintsugi.v1.exception_service_pb2_grpc import ExceptionServiceStub

from tests import certificates
from tests.certificates import Files
from tests.conftest import KINTSUGI
from tests.identity import authorized
from tests.provider import Provider

ROOTS = "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH"


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    return certificates.make(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    with closing(Provider()) as started:
        yield started


@pytest.fixture(scope="module")
def secure(start_for_session: Callable[..., Any], files: Files, provider: Provider) -> Any:
    """A `kintsugi up` with TLS, that takes the provider's tokens."""
    tls = ("--tls-cert", str(files.certificate), "--tls-key", str(files.key))
    env = os.environ | provider.env
    return start_for_session("--port", "0", "--workers", "1", *tls, env=env)


@pytest.fixture
def trust(files: Files) -> ssl.SSLContext:
    """Of whoever trusts the authority of the tests, and nobody else."""
    return ssl.create_default_context(cafile=str(files.authority))


@pytest.fixture
def channel(secure: Any, files: Files) -> Iterator[grpc.Channel]:
    credentials = grpc.ssl_channel_credentials(files.authority.read_bytes())
    with grpc.secure_channel(secure.edge, credentials) as opened:
        yield opened


@pytest.mark.parametrize("version", ["HTTP/1.1", "HTTP/2"])
def test_rest_over_tls(secure: Any, trust: ssl.SSLContext, version: str) -> None:
    with httpx.Client(verify=trust, http2=version == "HTTP/2", headers=secure.headers) as http:
        answer = http.get(secure.exceptions)
    assert (answer.status_code, answer.http_version) == (200, version)


def test_grpc_over_tls(secure: Any, channel: grpc.Channel) -> None:
    stub = ExceptionServiceStub(authorized(channel, secure.token))
    request = service.ListExceptionsRequest(parent=secure.workspace)
    assert stub.ListExceptions(request, timeout=30).total_size >= 0


def test_everything_says_https(secure: Any) -> None:
    assert secure.rest == f"https://{secure.edge}"
    said = secure.output.read_text()
    assert secure.exceptions in said
    assert f"KINTSUGI_SERVER=https://{secure.edge} " in said
    assert "http://" + secure.edge not in said


def handshake(edge: str, trust: ssl.SSLContext, offered: list[str]) -> tuple[Any, Any]:
    """The version of TLS, and the protocol out of those offered."""
    host, port = edge.split(":")
    trust.set_alpn_protocols(offered)
    with (
        socket.create_connection((host, int(port)), timeout=30) as connection,
        trust.wrap_socket(connection, server_hostname=host) as wrapped,
    ):
        return wrapped.version(), wrapped.selected_alpn_protocol()


def test_both_protocols_are_offered_and_old_tls_is_not(secure: Any, trust: ssl.SSLContext) -> None:
    assert handshake(secure.edge, trust, ["h2", "http/1.1"]) == ("TLSv1.3", "h2")
    assert handshake(secure.edge, trust, ["http/1.1"]) == ("TLSv1.3", "http/1.1")
    trust.set_ciphers("DEFAULT:@SECLEVEL=0")
    with warnings.catch_warnings(action="ignore"):  # of the old ones
        trust.minimum_version = ssl.TLSVersion.TLSv1
        trust.maximum_version = ssl.TLSVersion.TLSv1_2
        assert handshake(secure.edge, trust, ["h2"]) == ("TLSv1.2", "h2")
        trust.maximum_version = ssl.TLSVersion.TLSv1_1
        with pytest.raises((ssl.SSLError, ConnectionError)):
            handshake(secure.edge, trust, ["h2"])


def test_a_renewed_certificate_is_shown_without_a_new_start(
    start_up: Callable[..., Any], until: Callable[..., bool], tmp_path: Path
) -> None:
    pairs = [certificates.make(folder) for folder in folders(tmp_path, "first", "second", "third")]
    shown = certificates.Files(*(tmp_path / name for name in ("root", "chain", "key")))

    def link(files: Files) -> None:
        """As those do who renew, by links that lead elsewhere then."""
        for name, target in zip(shown, files, strict=True):
            name.unlink(missing_ok=True)
            name.symlink_to(target)

    def told() -> str:
        host, port = stack.edge.split(":")
        try:
            return ssl.get_server_certificate((host, int(port)), timeout=30)
        except OSError:
            return "nobody listens"

    def is_shown(files: Files) -> bool:
        return told().strip() == files.certificate.read_text().strip()

    link(pairs[0])
    tls = ("--tls-cert", str(shown.certificate), "--tls-key", str(shown.key))
    stack = start_up("--port", "0", "--workers", "1", *tls)
    assert is_shown(pairs[0])
    link(pairs[1])
    assert until(lambda: is_shown(pairs[1]), 30)
    earlier = pairs[1].certificate.read_text()
    shown.certificate.write_bytes(pairs[2].certificate.read_bytes())
    assert until(lambda: "the certificate stays what it was" in stack.output.read_text(), 30)
    assert f"{shown.key} is not the key of {shown.certificate}" in stack.output.read_text()
    [envoy] = stack.processes("envoy.json")
    os.kill(envoy, signal.SIGKILL)
    assert until(lambda: stack.processes("envoy.json") not in ([], [envoy]), 30)
    assert until(lambda: told().strip() == earlier.strip(), 30)
    shown.key.write_bytes(pairs[2].key.read_bytes())
    assert until(lambda: is_shown(pairs[2]), 30)


def folders(parent: Path, *names: str) -> list[Path]:
    made = [parent / name for name in names]
    for folder in made:
        folder.mkdir()
    return made


def test_without_tls_nobody_is_answered(secure: Any) -> None:
    with pytest.raises(httpx.TransportError):
        httpx.get(f"http://{secure.edge}/docs", timeout=30)


def kintsugi(secure: Any, *arguments: str, **env: str) -> "subprocess.CompletedProcess[str]":
    given = secure.env | env
    return subprocess.run(
        [KINTSUGI, *arguments], capture_output=True, text=True, env=given, timeout=60, check=False
    )


def test_ready_and_well_whoever_signed_the_certificate(secure: Any) -> None:
    ready = httpx.get(f"{secure.health}/readyz", timeout=30)
    assert (ready.status_code, secure.edge in ready.json()["checks"]["envoy"]) == (200, True)
    examined = kintsugi(secure, "doctor", "--data-dir", str(secure.data_dir), KINTSUGI_SERVER="")
    assert f"a server is reached through {secure.edge}" in examined.stdout


def test_the_client_commands_trust_whom_they_are_told_to(secure: Any, files: Files) -> None:
    trusting = {ROOTS: str(files.authority)}
    server = secure.rest.replace("127.0.0.1", "localhost")
    listed = kintsugi(secure, "exceptions", "list", KINTSUGI_SERVER=server, **trusting)
    assert listed.returncode == 0, listed.stderr
    failed = kintsugi(secure, "exceptions", "list", KINTSUGI_SERVER=server)
    assert failed.returncode == 1
    assert f"can't reach Kintsugi at {server}" in failed.stderr
    assert f"set {ROOTS} " in failed.stderr
    plain = kintsugi(secure, "exceptions", "list", KINTSUGI_SERVER=secure.edge)
    assert "must begin with https://" in plain.stderr


def test_what_to_type_names_the_server_with_its_scheme(secure: Any, files: Files) -> None:
    env = {ROOTS: str(files.authority)}
    run = ("exec", "--automation", "tls", "--no-wait", "--", "false")
    said = kintsugi(secure, *run, **env).stderr
    assert f"KINTSUGI_SERVER={secure.rest} " in said


# An identity provider


@pytest.fixture
def user(secure: Any, channel: grpc.Channel) -> str:
    """Somebody who is a viewer, and known to the provider only."""
    id = f"user-{uuid.uuid4().hex}"
    request = access_service_pb2.CreateMemberRequest(parent=secure.workspace, member_id=id)
    request.member.role = member_pb2.ROLE_VIEWER
    AccessServiceStub(authorized(channel, secure.token)).CreateMember(request, timeout=30)
    return id


@pytest.fixture
def http(trust: ssl.SSLContext) -> Iterator[httpx.Client]:
    with httpx.Client(verify=trust, http2=True, timeout=30) as client:
        yield client


@pytest.fixture
def ask(secure: Any, http: httpx.Client) -> Callable[[str], httpx.Response]:
    """Lists exceptions with a token."""
    return lambda token: http.get(secure.exceptions, headers=bearer(token))


Ask = Callable[[str], httpx.Response]


def bearer(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}


@pytest.mark.parametrize("kid", ["rsa", "ec"])
def test_a_user_of_the_provider_reads_and_may_not_write(
    secure: Any, provider: Provider, http: httpx.Client, user: str, kid: str
) -> None:
    given = bearer(provider.token(user, kid))
    assert http.get(secure.exceptions, headers=given).status_code == 200
    refused = http.post(secure.exceptions, headers=given, json=secure.new_exception("oidc"))
    assert (refused.status_code, refused.json()["code"]) == (403, 7)
    assert f"users/{user}" in refused.json()["message"]


def test_the_same_over_grpc(
    secure: Any, provider: Provider, channel: grpc.Channel, user: str
) -> None:
    stub = ExceptionServiceStub(authorized(channel, provider.token(user)))
    request = service.ListExceptionsRequest(parent=secure.workspace)
    assert stub.ListExceptions(request, timeout=30).total_size >= 0


@pytest.mark.parametrize(
    ("claims", "told"),
    [
        ({"lasting": -60}, "has expired"),
        ({"aud": "another"}, "another audience"),
        ({"iss": "https://evil.example"}, "another issuer"),
    ],
)
def test_other_tokens_are_refused_with_the_reason(
    provider: Provider, ask: Ask, user: str, claims: dict[str, Any], told: str
) -> None:
    refused = ask(provider.token(user, **claims))
    assert (refused.status_code, refused.json()["code"]) == (401, 16)
    assert told in refused.json()["message"]
    assert refused.json()["details"][0]["reason"] == "CREDENTIALS_INVALID"


def test_a_stream_ends_when_its_token_does(
    secure: Any, provider: Provider, http: httpx.Client, user: str
) -> None:
    given = bearer(provider.token(user, lasting=-3))  # clocks may differ by five seconds
    with http.stream("GET", f"{secure.exceptions}:watch", headers=given) as answer:
        assert answer.status_code in (200, 401)
        text = answer.read().decode()
    assert "the access token has expired" in text


def test_a_large_token_passes(provider: Provider, ask: Ask, user: str) -> None:
    token = provider.token(user, groups=[f"group-{n:06}" for n in range(500)])
    assert len(token) > 8_000
    assert ask(token).status_code == 200
