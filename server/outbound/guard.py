"""Which addresses may be connected to: those of the internet, and private ones where allowed.

Which hosts a request may go to, by name, is in `domain/target_hosts.py`.
"""

from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network


def _networks(*texts: str) -> tuple[Network, ...]:
    return tuple(map(ip_network, texts))


_PRIVATE = _networks(
    *("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7"),  # RFC 1918, RFC 4193
    *("127.0.0.0/8", "::1/128"),
    *("169.254.0.0/16", "fe80::/10"),  # RFC 3927, RFC 4291
    "100.64.0.0/10",  # RFC 6598: of a carrier
)
"""What `allow_private` allows."""

_REFUSED = _networks(
    *("0.0.0.0/8", "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "198.18.0.0/15"),
    *("198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4"),
)
"""The rest of what isn't of the internet (RFC 6890), multicast (RFC 5771) and broadcast."""

_INTERNET = _networks("2000::/3")
"""All that is given out of IPv6 (RFC 4291)."""
_NOT_OF_IT = _networks("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20")
"""Protocols, Teredo among them, examples, and 6to4, which holds an IPv4 address."""

_HOLDING_IPV4 = _networks("::ffff:0:0/96", "64:ff9b::/96")
"""Mapped addresses (RFC 4291) and those of NAT64 (RFC 6052), whose last four bytes count."""


def is_allowed(text: str, *, allow_private: bool) -> bool:
    """Whether a connection may be made to an address, such as `10.0.0.1` or `fe80::1%eth0`."""
    address = _held(ip_address(text.partition("%")[0]))
    if _is_in(address, _PRIVATE):
        return allow_private
    if isinstance(address, IPv4Address):
        return not _is_in(address, _REFUSED)
    return _is_in(address, _INTERNET) and not _is_in(address, _NOT_OF_IT)


def _held(address: Address) -> Address:
    if _is_in(address, _HOLDING_IPV4):
        return IPv4Address(address.packed[-4:])
    return address


def _is_in(address: Address, networks: tuple[Network, ...]) -> bool:
    return any(address in network for network in networks)
