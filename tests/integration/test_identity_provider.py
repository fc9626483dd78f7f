"""Callers with tokens of an identity provider (OpenID Connect), straight over gRPC."""

import base64
import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import grpc
import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from kintsugi.v1 import access_service_pb2 as access
from kintsugi.v1 import exception_service_pb2 as service
from kintsugi.v1 import member_pb2, workspace_service_pb2

from server.app import CannotRun, Server
from server.config import Settings
from tests.integration.client import WORKSPACE, Client, new_exception, reason
from tests.integration.waiting import until
from tests.provider import AUDIENCE, ISSUER, Provider, fields, new_rsa

CallAs = Callable[[str], Client]


@pytest.fixture(scope="module")
def shared() -> Iterator[Provider]:
    with closing(Provider()) as started:
        yield started


@pytest.fixture
def provider() -> Iterator[Provider]:
    with closing(Provider()) as started:
        yield started


@pytest.fixture
def call_as(start_server: Any, shared: Provider) -> CallAs:
    """A client with a token, of a server where `users/ada` is a responder."""
    return callers(start_server(**shared.settings()))


def callers(owner: Client) -> CallAs:
    owner.access.CreateMember(
        access.CreateMemberRequest(
            parent=WORKSPACE, member_id="ada", member={"role": member_pb2.ROLE_RESPONDER}
        )
    )
    return lambda token: Client(owner.port, token)


def refusal(client: Client) -> str:
    """What a caller is told who isn't known."""
    with pytest.raises(grpc.RpcError) as error:
        client.list()
    assert error.value.code() is grpc.StatusCode.UNAUTHENTICATED
    assert reason(error.value) == "CREDENTIALS_INVALID"
    return str(error.value.details())


@pytest.mark.parametrize("kid", ["rsa", "ec"])
def test_a_user_may_do_what_their_role_says(call_as: CallAs, shared: Provider, kid: str) -> None:
    ada = call_as(shared.token(kid=kid))
    made = ada.create(new_exception())
    assert ada.get(made.name).name == made.name
    with pytest.raises(grpc.RpcError) as error:
        ada.access.ListMembers(access.ListMembersRequest(parent=WORKSPACE))
    assert reason(error.value) == "PERMISSION_LACKING"
    assert "users/ada" in str(error.value.details())


def test_somebody_who_is_no_member_sees_nothing(call_as: CallAs, shared: Provider) -> None:
    with pytest.raises(grpc.RpcError) as error:
        call_as(shared.token("grace")).list()
    assert error.value.code() is grpc.StatusCode.NOT_FOUND


def test_a_user_is_in_all_of_their_workspaces(start_server: Any, shared: Provider) -> None:
    owner = start_server(**shared.settings())
    owner.access.CreateMember(
        access.CreateMemberRequest(
            parent=WORKSPACE, member_id="grace", member={"role": member_pb2.ROLE_OWNER}
        )
    )
    grace = Client(owner.port, shared.token("grace"))
    create = workspace_service_pb2.CreateWorkspaceRequest(
        parent="organizations/local", workspace_id="second", workspace={"title": "Second"}
    )
    made = grace.workspaces.CreateWorkspace(create)
    request = service.ListExceptionsRequest(parent=made.name)
    assert grace.exceptions.ListExceptions(request).total_size == 0
    assert grace.list().total_size == 0


def test_whom_the_provider_calls_local_is_not_the_owner_of_the_machine(
    start_server: Any, shared: Provider
) -> None:
    owner = start_server(**shared.settings())
    assert owner.list().total_size == 0  # as `users/local`
    told = refusal(Client(owner.port, shared.token("local")))
    assert "'local' as `sub`, which is the owner that `kintsugi up` makes" in told


def test_a_role_that_is_changed_counts_at_once(start_server: Any, shared: Provider) -> None:
    owner = start_server(**shared.settings())
    ada = callers(owner)(shared.token())
    ada.list()
    name = f"{WORKSPACE}/members/ada"
    owner.access.DeleteMember(access.DeleteMemberRequest(name=name))

    def is_out() -> bool:
        try:
            ada.list()
        except grpc.RpcError as error:
            return bool(error.code() is grpc.StatusCode.NOT_FOUND)
        return False

    until(is_out)


def test_own_tokens_are_good_beside_it(start_server: Any, shared: Provider) -> None:
    owner = start_server(**shared.settings())
    assert owner.list().total_size == 0
    assert "damaged" in refusal(Client(owner.port, "kin_nope"))


def test_without_a_provider_there_are_only_own_tokens(client: Client, shared: Provider) -> None:
    assert "damaged" in refusal(Client(client.port, shared.token()))


NOW = int(time.time())


@pytest.mark.parametrize(
    ("claims", "told"),
    [
        ({"exp": NOW - 60}, "has expired"),
        ({"nbf": NOW + 86_400}, "not valid yet"),
        ({"aud": "another"}, "another audience"),
        ({"aud": []}, "lacks the claim `aud`"),
        ({"iss": "https://evil.example"}, "another issuer"),
        ({"iss": f"{ISSUER}/"}, "another issuer"),
        ({"exp": None}, "lacks the claim `exp`"),
        ({"aud": None}, "lacks the claim `aud`"),
        ({"iss": None}, "lacks the claim `iss`"),
        ({"sub": None}, "lacks the claim `sub`"),
        ({"exp": "soon"}, "damaged"),
        ({"sub": "auth0|17"}, "'auth0|17' as `sub`, which can't be the id of a user"),
        ({"sub": "../local"}, "can't be the id of a user"),
        ({"sub": "a" * 129}, "can't be the id of a user"),
        ({"sub": ""}, "can't be the id of a user"),
        ({"sub": "local"}, "nobody of an identity provider"),
    ],
)
def test_claims_that_do_not_fit(
    call_as: CallAs, shared: Provider, claims: dict[str, Any], told: str
) -> None:
    assert told in refusal(call_as(shared.token(**claims)))


def part(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def unsigned(provider: Provider) -> str:
    return f"{part({'alg': 'none', 'kid': 'rsa'})}.{part(fields())}."


def confused(provider: Provider) -> str:
    """Signed with the public key, taken for a secret."""
    public = provider.keys["rsa"].public_key()
    pem = public.public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    head = f"{part({'alg': 'HS256', 'kid': 'rsa'})}.{part(fields())}"
    signature = jwt.algorithms.HMACAlgorithm(jwt.algorithms.HMACAlgorithm.SHA256).sign(
        head.encode(), pem
    )
    return f"{head}.{base64.urlsafe_b64encode(signature).decode().rstrip('=')}"


def forged(provider: Provider) -> str:
    return jwt.encode(fields(), new_rsa(), "RS256", headers={"kid": "rsa"})


def altered(provider: Provider) -> str:
    head, _, signature = provider.token().split(".")
    return f"{head}.{part(fields('local'))}.{signature}"


def signed_otherwise(provider: Provider) -> str:
    return jwt.encode(fields(), provider.keys["rsa"], "PS256", headers={"kid": "rsa"})


def without_key_id(provider: Provider) -> str:
    return jwt.encode(fields(), provider.keys["rsa"], "RS256")


def with_a_strange_key_id(provider: Provider) -> str:
    return jwt.encode(fields(), provider.keys["rsa"], "RS256", headers={"kid": "../rsa"})


def with_its_own_key(provider: Provider) -> str:
    """By `jku`, which nobody here follows."""
    headers = {"kid": "other", "jku": provider.url}
    return jwt.encode(fields(), new_rsa(), "RS256", headers=headers)


def deeply_nested(provider: Provider) -> str:
    return f"{part('[' * 5000)}.{part(fields())}.{part('x')}"


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (unsigned, "signed in a way"),
        (confused, "signed in a way"),
        (forged, "wrong signature"),
        (altered, "wrong signature"),
        (signed_otherwise, "signed in a way"),
        (without_key_id, "a key that is not known"),
        (with_a_strange_key_id, "a key that is not known"),
        (with_its_own_key, "a key that is not known"),
        (deeply_nested, "damaged"),
        (lambda provider: "a.b.c", "damaged"),
        (lambda provider: "nope", "damaged"),
        (lambda provider: provider.token()[:-9], "damaged"),
        (lambda provider: f"{provider.token()},Bearer {provider.token()}", "damaged"),
    ],
)
def test_tokens_that_the_provider_did_not_make(
    call_as: CallAs, shared: Provider, make: Callable[[Provider], str], told: str
) -> None:
    assert told in refusal(call_as(make(shared)))


def test_two_of_them_are_none(call_as: CallAs, shared: Provider) -> None:
    ada = call_as(shared.token())
    with pytest.raises(grpc.RpcError) as error:
        ada.exceptions.ListExceptions(
            service.ListExceptionsRequest(parent=WORKSPACE),
            metadata=[("authorization", f"Bearer {shared.token()}")],
        )
    assert reason(error.value) == "CREDENTIALS_INVALID"


def test_another_claim_can_say_who_calls(start_server: Any, shared: Provider) -> None:
    settings = shared.settings(oidc_claim="email")
    owner = start_server(**settings)
    request = access.CreateMemberRequest(parent=WORKSPACE, member_id="ada@lovelace.example")
    request.member.role = member_pb2.ROLE_VIEWER
    owner.access.CreateMember(request)
    email = "ada@lovelace.example"
    ada = Client(owner.port, shared.token("17", email=email, email_verified=True))
    assert ada.list().total_size == 0
    unverified = Client(owner.port, shared.token("17", email=email, email_verified=False))
    assert "not verified" in refusal(unverified)
    assert "lacks the claim `email`" in refusal(Client(owner.port, shared.token("17")))


def test_a_stream_ends_with_its_token(call_as: CallAs, shared: Provider) -> None:
    ada = call_as(shared.token(lasting=-3))  # clocks may differ by five seconds
    stream = ada.exceptions.WatchExceptions(service.WatchExceptionsRequest(parent=WORKSPACE))
    with pytest.raises(grpc.RpcError) as error:
        list(stream)
    assert error.value.code() is grpc.StatusCode.UNAUTHENTICATED
    assert error.value.details() == "the access token has expired"


def test_new_keys_of_the_provider_are_found_and_old_ones_forgotten(
    start_server: Any, provider: Provider
) -> None:
    call_as = callers(start_server(**provider.settings()))
    old = provider.token()
    call_as(old).list()
    provider.keys = {"next": new_rsa()}
    ada = call_as(provider.token(kid="next"))

    def is_known() -> bool:
        try:
            ada.list()
        except grpc.RpcError:
            return False
        return True

    until(is_known, 20)
    assert "a key that is not known" in refusal(call_as(old))


def test_unknown_keys_do_not_send_everybody_to_the_provider(
    start_server: Any, provider: Provider
) -> None:
    call_as = callers(start_server(**provider.settings()))
    begun = time.monotonic()
    for n in range(50):
        token = jwt.encode(fields(), provider.keys["rsa"], "RS256", headers={"kid": f"k{n}"})
        assert "a key that is not known" in refusal(call_as(token))
    assert provider.asked <= 1 + (time.monotonic() - begun) / 10 + 1


def test_keys_out_of_a_file(start_server: Any, provider: Provider, tmp_path: Path) -> None:
    file = tmp_path / "keys.json"
    file.write_bytes(provider.key_set())
    call_as = callers(start_server(**provider.settings(oidc_jwks=str(file))))
    call_as(provider.token()).list()
    assert provider.asked == 0


def test_a_provider_that_is_away_keeps_nobody_with_an_own_token_out(
    start_server: Any, provider: Provider
) -> None:
    provider.answers = b"not now"
    owner = start_server(**provider.settings())
    assert owner.list().total_size == 0
    assert "a key that is not known" in refusal(Client(owner.port, provider.token()))


def cannot_run(**settings: str) -> str:
    with pytest.raises(CannotRun) as refused:
        Server(Settings(database_url="postgresql:///nowhere", **settings))  # type: ignore[arg-type]
    return str(refused.value)


def test_a_provider_that_cannot_be_used_is_told_at_the_start(tmp_path: Path) -> None:
    whole = {"oidc_issuer": ISSUER, "oidc_audience": AUDIENCE}
    assert "KINTSUGI_OIDC_ISSUER, _AUDIENCE and _JWKS" in cannot_run(**whole)
    assert "KINTSUGI_OIDC_JWKS: " in cannot_run(**whole, oidc_jwks=str(tmp_path / "none"))
    (tmp_path / "keys").write_text('{"keys": []}')
    assert "has no key set" in cannot_run(**whole, oidc_jwks=str(tmp_path / "keys"))
    assert "must be https" in cannot_run(**whole, oidc_jwks="http://login.example/keys")


def test_without_the_extra_it_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("json_web_token", "key_set"):
        monkeypatch.delitem(sys.modules, f"server.operations.{module}", raising=False)
    monkeypatch.setitem(sys.modules, "jwt", None)
    settings = {"oidc_issuer": ISSUER, "oidc_audience": AUDIENCE, "oidc_jwks": "keys"}
    assert "pip install 'kintsugi[oidc]'" in cannot_run(**settings)
