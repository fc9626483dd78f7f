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


@pytest.mark.parametrize("chain", ["127.0.0.1", "10.0.0.7, 127.0.0.1", "::1", "nonsense,127.0.0.9"])
def test_envoy_says_who_called_it(chain: str) -> None:
    with identity()(rpc("ipv4:127.0.0.1:5", x_forwarded_for=chain)):
        assert current_call().principal == "users/local"


@pytest.mark.parametrize(
    "chain", ["10.0.0.7", "127.0.0.1, 10.0.0.7", "2001:db8::1", "", "nonsense"]
)
def test_callers_of_envoy_from_elsewhere_are_refused(chain: str) -> None:
    called = rpc("ipv4:127.0.0.1:5", x_forwarded_for=chain)
    with pytest.raises(CallerRefused), identity()(called):
        pass
