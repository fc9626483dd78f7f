"""Which addresses may be connected to."""

import pytest

from server.outbound.guard import is_allowed

PUBLIC = [
    *(
        "93.184.215.14",
        "8.8.8.8",
        "1.1.1.1",
        "172.15.0.1",
        "172.32.0.1",
        "100.63.0.1",
        "100.128.0.1",
    ),
    *("192.0.1.1", "223.255.255.255", "11.0.0.1", "169.253.0.1"),
    *("2606:4700::1111", "2a00:1450:4001::1", "2001:4860:4860::8888"),
    *("::ffff:8.8.8.8", "64:ff9b::8.8.8.8"),
]
PRIVATE = [
    *("10.0.0.1", "10.255.255.255", "172.16.0.1", "172.31.255.255", "192.168.1.1"),
    *("127.0.0.1", "127.255.255.254", "::1"),
    *("169.254.169.254", "169.254.0.1", "fe80::1", "fe80::1%eth0", "febf::1"),
    *("100.64.0.1", "100.127.255.255", "fc00::1", "fd00:ec2::254"),
    *("::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:a9fe:a9fe", "64:ff9b::127.0.0.1"),
    *("64:ff9b::a00:1",),
]
NEVER = [
    *("0.0.0.0", "0.1.2.3", "::", "255.255.255.255", "240.0.0.1", "224.0.0.1", "239.255.255.255"),
    *("192.0.0.1", "192.0.2.1", "198.18.0.1", "198.51.100.1", "203.0.113.1", "192.88.99.1"),
    *("ff02::1", "ff0e::1", "fec0::1", "2001:db8::1", "2002:7f00:1::1", "2001::1", "3fff::1"),
    *("64:ff9b:1::1", "100::1", "::7f00:1", "::ffff:0.0.0.0", "::ffff:224.0.0.1", "5f00::1"),
    *("4000::1", "64:ff9b::0.0.0.0"),
]


@pytest.mark.parametrize("address", PUBLIC)
def test_the_internet_is_allowed(address: str) -> None:
    assert is_allowed(address, allow_private=False)
    assert is_allowed(address, allow_private=True)


@pytest.mark.parametrize("address", PRIVATE)
def test_what_is_private_is_allowed_where_that_is_said(address: str) -> None:
    assert not is_allowed(address, allow_private=False)
    assert is_allowed(address, allow_private=True)


@pytest.mark.parametrize("address", NEVER)
def test_what_is_no_address_of_one_machine_is_never_allowed(address: str) -> None:
    assert not is_allowed(address, allow_private=False)
    assert not is_allowed(address, allow_private=True)
