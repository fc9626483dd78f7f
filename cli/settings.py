"""What the client commands take from the environment: server, token, workspace.

The settings of the servers are not here.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import click

from server.domain.addresses import is_loopback

TOKEN_FILE = "KINTSUGI_TOKEN_FILE"  # noqa: S105 (the name of a variable)
DEFAULT_SERVER = "127.0.0.1:8080"
DEFAULT_ORGANIZATION = "organizations/local"
DEFAULT_WORKSPACE = f"{DEFAULT_ORGANIZATION}/workspaces/default"


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

    @property
    def is_here(self) -> bool:
        """Whether it is on this machine."""
        return is_loopback(self.address.rpartition(":")[0])

    def __str__(self) -> str:
        """As KINTSUGI_SERVER says it."""
        return f"https://{self.address}" if self.tls else self.address


def server() -> Server:
    return Server.parse(os.environ.get("KINTSUGI_SERVER") or DEFAULT_SERVER)


def token() -> str:
    """What the environment says, or the file that it names; on this machine, the token that
    `kintsugi up` keeps: no other server is ever sent that one."""
    text = os.environ.get("KINTSUGI_TOKEN") or _token_in_file()
    if not (text.isascii() and text.isprintable()):
        raise click.ClickException("KINTSUGI_TOKEN holds characters that no token has")
    return text


def token_source() -> str:
    """What `token` takes it from: a variable or a file."""
    return "KINTSUGI_TOKEN" if os.environ.get("KINTSUGI_TOKEN") else str(_token_file())


def _token_file() -> Path:
    named = os.environ.get(TOKEN_FILE)
    return Path(named) if named else data_dir() / "token"


def _token_in_file() -> str:
    is_named = bool(os.environ.get(TOKEN_FILE))
    if not is_named and not server().is_here:
        return ""
    try:
        return _token_file().read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        if not is_named:
            return ""
        raise click.ClickException(f"{TOKEN_FILE}: can't read {_token_file()}: {error}") from None


def data_dir() -> Path:
    """Where `kintsugi up` keeps everything unless told otherwise."""
    import platformdirs

    return platformdirs.user_data_path("kintsugi")


def workspace() -> str:
    """The name of the one in use; an id alone means one of the first organization."""
    text = os.environ.get("KINTSUGI_WORKSPACE") or DEFAULT_WORKSPACE
    return text if "/" in text else f"{DEFAULT_ORGANIZATION}/workspaces/{text}"


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
