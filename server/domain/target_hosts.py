"""Which hosts a request may be sent to, by their names.

Which addresses they may have is checked when the connection is made, in `outbound/guard.py`.
"""

import re
from collections.abc import Sequence
from typing import NamedTuple

_LABEL = r"[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
HOST = rf"(?:{_LABEL}(\.{_LABEL})*|\[[0-9A-Fa-f:.]{{2,45}}\])"
"""A host name in ASCII, an IPv4 address, or an IPv6 address in brackets."""

_TARGET = re.compile(rf"(?P<scheme>https?)://(?P<host>{HOST})(:(?P<port>[0-9]{{1,5}}))?")
_PATTERN = re.compile(rf"(?P<wild>\*\.)?(?P<host>{HOST})(:(?P<port>[0-9]{{1,5}}))?")
_PORTS = {"http": 80, "https": 443}


class Target(NamedTuple):
    """Where a request goes: `host` in lower case, without the brackets of an IPv6 address."""

    scheme: str
    host: str
    port: int

    @classmethod
    def parse(cls, origin: str) -> "Target | None":
        """Of such as `https://billing.example.com:8443`; None where it is none."""
        match = _TARGET.fullmatch(origin)
        if match is None or len(match["host"]) > 253:
            return None
        port = int(match["port"] or _PORTS[match["scheme"]])
        return cls(match["scheme"], match["host"].strip("[]").lower(), port) if _is(port) else None

    def __str__(self) -> str:
        """As people know the system: the port only where it is an uncommon one."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"


def is_pattern(text: str) -> bool:
    """Whether it is `host`, `host:port`, or one of these with `*.` in front."""
    match = _PATTERN.fullmatch(text)
    return match is not None and _is(int(match["port"] or 1))


def is_allowed(target: Target, patterns: Sequence[str]) -> bool:
    """Whether one of the patterns is of the target; one without a port is of any port."""
    return any(_fits(target, pattern) for pattern in patterns)


def _fits(target: Target, pattern: str) -> bool:
    match = _PATTERN.fullmatch(pattern)
    if match is None or int(match["port"] or target.port) != target.port:
        return False
    host = match["host"].strip("[]").lower()
    return target.host.endswith(f".{host}") if match["wild"] else target.host == host


def _is(port: int) -> bool:
    return 1 <= port <= 65535
