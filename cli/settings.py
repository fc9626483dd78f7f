"""What the client commands take from the environment: server, token, workspace.

The settings of the servers are not here.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit

import click

DEFAULT_SERVER = "127.0.0.1:8080"
DEFAULT_WORKSPACE = "organizations/local/workspaces/default"


@dataclass(frozen=True)
class Server:
    """Where the service is: `host:port`, and whether it speaks TLS."""

    address: str
    tls: bool = False

    @classmethod
    def parse(cls, text: str) -> "Server":
        """`host:port`, `http://host:port` or `https://host:port`. Raises click.ClickException."""
        url = urlsplit(text if "://" in text else f"http://{text}")
        try:
            usable = url.scheme in ("http", "https") and url.hostname and url.path in ("", "/")
            port = url.port or {"http": 80, "https": 443}.get(url.scheme)
        except ValueError:
            usable = None
        if not usable:
            raise click.ClickException(
                f"KINTSUGI_SERVER is {text!r}; it must be host:port, as in {DEFAULT_SERVER}"
            )
        host = f"[{url.hostname}]" if ":" in str(url.hostname) else url.hostname
        return cls(f"{host}:{port}", url.scheme == "https")


def server() -> Server:
    return Server.parse(os.environ.get("KINTSUGI_SERVER") or DEFAULT_SERVER)


def token() -> str:
    text = os.environ.get("KINTSUGI_TOKEN", "")
    if not (text.isascii() and text.isprintable()):
        raise click.ClickException("KINTSUGI_TOKEN holds characters that no token has")
    return text


def workspace() -> str:
    return os.environ.get("KINTSUGI_WORKSPACE") or DEFAULT_WORKSPACE


QUIET = ("GRPC_VERBOSITY", "NONE")
"""Keeps gRPC from lines of its own on stderr, if it is set when gRPC is imported: what they say is
said in lines of ours."""


@contextmanager
def quiet_grpc() -> Iterator[None]:
    """QUIET within, for imports; afterwards the environment, which jobs get, is as it was."""
    name, value = QUIET
    if name in os.environ:
        yield
        return
    os.environ[name] = value
    try:
        yield
    finally:
        del os.environ[name]
