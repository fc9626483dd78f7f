"""A connection to a target: its name is looked up once, and only what was checked is connected to.

Nothing of a request is sent here.
"""

import errno
import os
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any, NamedTuple

from server.domain.target_hosts import Target
from server.outbound.guard import is_allowed
from server.outbound.patience import Patience, RanOut


class NotConnected(Exception):
    """There is no connection, but may be at another time; the message says why."""


class NotTrusted(Exception):
    """What is there isn't to be connected to; the message says why."""


class _Found(NamedTuple):
    family: int
    address: tuple[Any, ...]

    @property
    def host(self) -> str:
        return str(self.address[0])


def connect(target: Target, patience: Patience, *, allow_private: bool) -> socket.socket:
    """A connection that doesn't block, over TLS for https. Raises NotConnected, NotTrusted,
    RanOut."""
    found = _look_up(target, patience)
    refused = [
        each.host for each in found if not is_allowed(each.host, allow_private=allow_private)
    ]
    if refused:
        kind = "isn't one of the internet" if allow_private else "is private or reserved"
        raise NotTrusted(f"{target} has the address {refused[0]}, which {kind}: refused")
    sock = _connected_to_any(target, found, patience)
    return _over_tls(sock, target, patience) if target.scheme == "https" else sock


def _look_up(target: Target, patience: Patience) -> list[_Found]:
    """All addresses of the target. The system's resolver can't be interrupted, only left alone."""
    answers: list[Any] = []

    def ask() -> None:
        try:
            answers.append(socket.getaddrinfo(target.host, target.port, type=socket.SOCK_STREAM))
        except (OSError, UnicodeError) as error:
            answers.append(error)

    thread = threading.Thread(target=ask, name=f"look up {target}", daemon=True)
    thread.start()
    patience.join(thread)
    [answer] = answers
    if isinstance(answer, Exception):
        raise NotConnected(f"{target.host} has no address") from answer
    return [_Found(family, address) for family, _, _, _, address in answer]


def _connected_to_any(target: Target, found: list[_Found], patience: Patience) -> socket.socket:
    failure = "has no address"
    for number, each in enumerate(found):
        try:
            return _connected(each, patience.part(len(found) - number))
        except OSError as error:
            failure = f"can't be reached: {(error.strerror or 'no connection').lower()}"
        except RanOut:
            patience.check()
            failure = "can't be reached: it doesn't answer"
    raise NotConnected(f"{target} {failure}")


def _connected(found: _Found, patience: Patience) -> socket.socket:
    """Raises OSError, RanOut."""
    sock = socket.socket(found.family, socket.SOCK_STREAM)
    with _closed_on_failure(sock):
        sock.settimeout(0)
        code = sock.connect_ex(found.address)
        if code == errno.EINPROGRESS:
            patience.wait(sock, to_write=True)
            code = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        _check(code)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


def _check(code: int) -> None:
    if code:
        raise OSError(code, os.strerror(code))


def _over_tls(sock: socket.socket, target: Target, patience: Patience) -> socket.socket:
    with _closed_on_failure(sock):
        tls = _tls().wrap_socket(sock, server_hostname=target.host, do_handshake_on_connect=False)
    with _closed_on_failure(tls):
        try:
            patiently(tls.do_handshake, tls, patience, to_write=False)
        except ssl.SSLCertVerificationError as error:
            raise NotTrusted(f"{target} fails at TLS: {error.verify_message}") from error
        except OSError as error:
            reason = (getattr(error, "reason", "") or "cut off").lower().replace("_", " ")
            raise NotConnected(f"{target} fails at TLS: {reason}") from error
    return tls


@contextmanager
def _closed_on_failure(sock: socket.socket) -> Iterator[None]:
    try:
        yield
    except BaseException:
        sock.close()
        raise


@cache
def _tls() -> ssl.SSLContext:
    """With the authorities of the system, or of `SSL_CERT_FILE`."""
    context = ssl.create_default_context()
    context.set_alpn_protocols(["http/1.1"])
    return context


def patiently(
    step: Callable[[], Any], sock: socket.socket, patience: Patience, *, to_write: bool
) -> Any:
    """Takes a step on a socket that doesn't block as soon as it can. Raises OSError, RanOut."""
    while True:
        patience.check()
        try:
            return step()
        except ssl.SSLWantReadError:
            patience.wait(sock, to_write=False)
        except ssl.SSLWantWriteError:
            patience.wait(sock, to_write=True)
        except (BlockingIOError, InterruptedError):
            patience.wait(sock, to_write=to_write)
