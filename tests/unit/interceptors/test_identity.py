"""Who a call is by, from what it brings along."""

from types import SimpleNamespace
from typing import Any

import pytest

from server.domain.call import current_call, leave
from server.domain.errors import CredentialsInvalid, CredentialsMissing
from server.interceptors.identity import identify
from server.interceptors.refusals import RefusedCalls
from server.interceptors.rpc import Rpc
from server.operations.authentication import Caller


class Ada:
    """The only one there is, with the token `secret`."""

    def caller(self, token: str, *, since: float = 0.0) -> Caller:
        if token != "secret":
            raise CredentialsInvalid("is not known here")
        return Caller("users/ada", "t1", {}, is_everywhere=False, found=since)


def rpc(*metadata: tuple[str, str], peer: str = "ipv4:127.0.0.1:5") -> Any:
    context = SimpleNamespace(
        peer=lambda: peer, time_remaining=lambda: None, invocation_metadata=lambda: metadata
    )
    return Rpc("/s/m", SimpleNamespace(), "unary", None, None, context)  # type: ignore[arg-type]


def entered(called: Rpc) -> Any:
    assert identify(called, Ada(), RefusedCalls()) is called.call
    call = current_call()
    leave()
    return call


GOOD = ("authorization", "Bearer secret")


@pytest.mark.parametrize("value", ["Bearer secret", "bearer secret", "BEARER  secret "])
def test_a_token_says_who_calls(value: str) -> None:
    call = entered(rpc(("authorization", value)))
    assert (call.principal, call.token) == ("users/ada", "t1")
    with pytest.raises(LookupError):
        current_call()


@pytest.mark.parametrize("value", ["", "secret", "Basic secret", "Bearer"])
def test_without_a_token_nobody_calls(value: str) -> None:
    for called in (rpc(), rpc(("authorization", value)), rpc(("x-auth-token", "secret"))):
        with pytest.raises(CredentialsMissing):
            entered(called)


@pytest.mark.parametrize("others", [[GOOD, GOOD], [GOOD, ("authorization", "Bearer other")]])
def test_two_tokens_are_none(others: list[tuple[str, str]]) -> None:
    with pytest.raises(CredentialsInvalid):
        entered(rpc(*others))


def test_two_tokens_in_one_header_are_none() -> None:
    with pytest.raises(CredentialsInvalid):
        entered(rpc(("authorization", "Bearer secret,Bearer secret")))


@pytest.mark.parametrize(
    ("peer", "address"),
    [
        ("ipv4:10.0.0.7:5", "10.0.0.7"),
        ("ipv6:[2001:db8::1]:5", "[2001:db8::1]"),
        ("ipv6:%5B::1%5D:5", "[::1]"),
        ("unix:", ""),
    ],
)
def test_the_address_is_that_of_the_peer(peer: str, address: str) -> None:
    assert entered(rpc(GOOD, peer=peer)).address == address


def test_envoy_says_who_called_it() -> None:
    assert entered(rpc(GOOD, ("x-auth-address", "10.0.0.7"))).address == "10.0.0.7"
