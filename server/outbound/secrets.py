"""Secrets by reference: `env:NAME` or `file:NAME`, read each time one is sent.

None is ever part of a message of an error.
"""

import json
import os
import re
from pathlib import Path
from urllib.parse import quote

from server.domain.names import WorkspaceName
from server.domain.secret_references import ENV, parse

HOME = WorkspaceName("local", "default")
"""The workspace that a deployment begins with."""

_MOST = 16 * 1024
"""Bytes."""
_NOT_IN_HEADER = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")
_MASK = "[secret]"


class SecretMissing(Exception):
    """There is no secret that could be sent; the message says which and why."""


def read_secret(reference: str, workspace: WorkspaceName, directory: Path | None) -> str:
    """A secret as a workspace may send it: a file from its folder in the directory; what is in the
    environment is the home workspace's. Raises SecretMissing."""
    try:
        kind, name = parse(reference)
    except ValueError:
        raise SecretMissing(f"{reference} refers to no secret") from None
    if kind == ENV:
        value = _read_variable(reference, name, workspace)
    else:
        value = _read_file(reference, name, workspace, directory)
    value = value.strip("\r\n")
    if not value:
        where = "isn't set where this runs" if kind == ENV else "is empty"
        raise SecretMissing(f"the secret {reference} {where}")
    if _NOT_IN_HEADER.search(value):
        raise SecretMissing(f"the secret {reference} can't be sent: it is no line of UTF-8")
    return value


def _read_variable(reference: str, name: str, workspace: WorkspaceName) -> str:
    if workspace != HOME:
        raise SecretMissing(f"the secret {reference} may be sent from {HOME} alone")
    return os.environ.get(name, "")


def _read_file(reference: str, name: str, workspace: WorkspaceName, directory: Path | None) -> str:
    if directory is None:
        raise SecretMissing(f"the secret {reference} needs the setting secrets_dir")
    folder = f"{workspace.organization}/{workspace.workspace}"
    path = directory / folder / name
    if not path.is_file():
        raise SecretMissing(f"the secret {reference} has no file in {folder} of secrets_dir")
    try:
        with path.open("rb") as file:
            return file.read(_MOST).decode()
    except (OSError, UnicodeError):
        raise SecretMissing(f"the secret {reference} can't be read") from None


def masked(text: str, secret: str) -> str:
    """The text without the secret, as it is and as JSON, a URL or Latin-1 would write it."""
    if not secret:
        return text
    plain, ascii = (json.dumps(secret, ensure_ascii=each)[1:-1] for each in (False, True))
    latin = secret.encode().decode("latin-1")
    ways = {secret, plain, ascii, latin, quote(secret), quote(secret, safe="")}
    for written in sorted(ways, key=len, reverse=True):
        text = text.replace(written, _MASK)
    return text
