"""Addresses of hosts: which of them only this machine can reach.

Names other than `localhost` are never looked up.
"""

from ipaddress import ip_address


def is_loopback(host: str) -> bool:
    """Of `127.0.0.1`, `::1`, `[::1]` or `localhost`; False for any other name."""
    try:
        return host == "localhost" or ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
