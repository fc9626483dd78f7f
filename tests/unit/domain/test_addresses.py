"""Which addresses only this machine can reach: what is not surely one is not taken for one."""

import pytest

from server.domain.addresses import is_loopback


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "::1", "[::1]", "localhost"])
def test_this_machine_only(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize(
    "host",
    ["0.0.0.0", "::", "192.0.2.1", "127.0.0.1.example", "localhost.example", "127.1", "", "unix:a"],
)
def test_perhaps_others_too(host: str) -> None:
    assert not is_loopback(host)
