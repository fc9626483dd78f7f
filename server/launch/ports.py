"""Taken ports, told to the user before anything is started.

Who listens on a port in the end binds it on its own.
"""

import errno
import socket
from collections.abc import Iterable
from contextlib import ExitStack

from server.launch.child import CannotStart

HOST = "127.0.0.1"


def check(ports: Iterable[tuple[str, str, int]]) -> None:
    """Takes a flag, an address and a port (0 is a free one) each; names the first that is taken."""
    with ExitStack() as held:
        for flag, host, port in ports:
            if port or host != HOST:
                held.enter_context(_bind(flag, host, port))


def _bind(flag: str, host: str, port: int) -> socket.socket:
    bound = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((host, port))
        bound.listen()
    except OSError as error:
        bound.close()
        raise _refusal(flag, host, port, error) from None
    except OverflowError:
        bound.close()
        raise CannotStart(f"there is no port {port}: {flag} takes 0 to 65535") from None
    return bound


def _refusal(flag: str, host: str, port: int, error: OSError) -> CannotStart:
    if error.errno == errno.EADDRNOTAVAIL:
        return CannotStart(f"this machine has no address {host}: choose another --host")
    if error.errno == errno.EADDRINUSE:
        return CannotStart(f"port {port} is taken: free it, or choose another with {flag}")
    return CannotStart(f"port {port} can't be used ({error.strerror}): choose another with {flag}")
