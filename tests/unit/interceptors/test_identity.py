"""Who is let in while nobody has to say who they are."""

from types import SimpleNamespace
from typing import Any

import pytest

from server.domain.call import current_call
from server.domain.errors import CallerRefused
from server.interceptors.identity import identity
from server.interceptors.rpc import Rpc


def rpc(peer: str, **metadata: str) -> Any:
    pairs = [(name.replace("_", "-"), value) for name, value in metadata.items()]
    context = SimpleNamespace(
        peer=lambda: peer, time_remaining=lambda: None, invocation_metadata=lambda: pairs
    )
    return Rpc("/s/m", SimpleNamespace(), False, None, None, context)  # type: ignore[arg-type]


@pytest.mark.parametrize("peer", ["ipv4:127.0.0.1:5", "ipv6:[::1]:5", "ipv6:%5B::1%5D:5", "unix:"])
def test_callers_on_the_same_machine_are_the_local_user(peer: str) -> None:
    with identity()(rpc(peer)):
        assert current_call().principal == "users/local"
    with pytest.raises(LookupError):
        current_call()


@pytest.mark.parametrize(
    "peer", ["ipv4:10.0.0.7:5", "ipv6:[2001:db8::1]:5", "ipv4:1.127.0.0:5", ""]
)
def test_callers_from_elsewhere_are_refused(peer: str) -> None:
    with pytest.raises(CallerRefused), identity()(rpc(peer)):
        pass


@pytest.mark.parametrize("address", ["127.0.0.1", "127.0.0.9", "::1"])
def test_envoy_says_who_called_it(address: str) -> None:
    with identity()(rpc("ipv4:127.0.0.1:5", x_auth_address=address)):
        assert current_call().principal == "users/local"


@pytest.mark.parametrize("address", ["10.0.0.7", "2001:db8::1", "", "127.0.0.1, 10.0.0.7"])
def test_callers_of_envoy_from_elsewhere_are_refused(address: str) -> None:
    called = rpc("ipv4:127.0.0.1:5", x_auth_address=address)
    with pytest.raises(CallerRefused), identity()(called):
        pass
