"""What can be read off a message and from what is known around it: labels, and named systems.

What it means is said in `domain/failure_kinds.py`.
"""

import re
from collections.abc import Mapping

from server.domain.failure_kinds import ends, error_type, http_status, kind_of

_URL_HOST = re.compile(r"\b[a-z][a-z0-9+.-]{1,20}://(?:[^\s/@]{1,200}@)?([A-Za-z0-9.-]{1,253})")
_NAMED_HOST = re.compile(
    r"\b(?:host(?:name)?|server|resolve|lookup)[: \"'=]{1,3}"
    r"([A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63})+)\b"
)
_MOST_SYSTEMS = 5
_AROUND = ("host", "exit_code", "command")
"""The keys of `extra` that say something about any failure."""


def labels(message: str, extra: Mapping[str, str]) -> dict[str, str]:
    """`{"error_type": "KeyError", "failure_kind": "missing_value", "host": "worker-3"}`"""
    kind = kind_of(message)
    found = {
        "failure_kind": kind.label if kind else "",
        "error_type": error_type(message),
        "http_status": http_status(message),
        "system": next(iter(systems(message)), ""),
        **{key: extra.get(key, "") for key in _AROUND},
    }
    return {key: value for key, value in found.items() if value}


def systems(message: str) -> list[str]:
    """The hosts that a message names, in its order."""
    text = ends(message)
    found = [*_URL_HOST.findall(text), *_NAMED_HOST.findall(text)]
    return list(dict.fromkeys(host.strip(".").lower() for host in found))[:_MOST_SYSTEMS]
