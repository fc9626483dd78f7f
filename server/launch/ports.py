"""Taken ports, told to the user before anything is started.

Who listens on a port in the end binds it on its own.
"""

import errno
import socket
from collections.abc import Iterable
from contextlib import ExitStack

from server.launch.child import CannotStart

HOST = "127.0.0.1"


def check(ports: Iterable[tuple[str, int]]) -> None:
    """Takes pairs of a flag and its port (0 is always free); names the first that is taken."""
    with ExitStack() as held:
        for flag, port in ports:
            if port:
                held.enter_context(_bind(flag, port))


def _bind(flag: str, port: int) -> socket.socket:
    bound = socket.socket()
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((HOST, port))
        bound.listen()
    except OSError as error:
        bound.close()
        raise _refusal(flag, port, error) from None
    except OverflowError:
        bound.close()
        raise CannotStart(f"there is no port {port}: {flag} takes 0 to 65535") from None
    return bound


def _refusal(flag: str, port: int, error: OSError) -> CannotStart:
    if error.errno == errno.EADDRINUSE:
        return CannotStart(f"port {port} is taken: free it, or choose another with {flag}")
    return CannotStart(f"port {port} can't be used ({error.strerror}): choose another with {flag}")
