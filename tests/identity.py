"""The owner that databases of tests have, and channels that call as somebody."""

from collections.abc import Callable
from typing import Any, NamedTuple

import grpc
import psycopg

from server.domain.access_tokens import digest, new_token

TOKEN = new_token()
"""What the owner of the default workspace calls with; each process of the tests has its own."""


def make_owner(url: str) -> None:
    """Makes `users/local` the owner of the default workspace, who calls with TOKEN."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            "INSERT INTO members (workspace, id, title, role) SELECT uid, 'local', '', 5"
            " FROM workspaces"
        )
        connection.execute(
            "INSERT INTO access_tokens (workspace, id, digest, principal, title, role,"
            " all_workspaces) SELECT uid, 'tests', %s, 'local', 'tests', 5, true FROM workspaces",
            [digest(TOKEN)],
        )


class _Details(NamedTuple):
    method: str
    timeout: float | None
    metadata: Any
    credentials: Any
    wait_for_ready: bool | None
    compression: Any


class _Authorized(
    grpc.UnaryUnaryClientInterceptor,  # type: ignore[misc]
    grpc.UnaryStreamClientInterceptor,  # type: ignore[misc]
    grpc.StreamUnaryClientInterceptor,  # type: ignore[misc]
    grpc.StreamStreamClientInterceptor,  # type: ignore[misc]
):
    def __init__(self, token: str) -> None:
        self._metadata = ("authorization", f"Bearer {token}")

    def _intercept(self, call: Callable[..., Any], details: Any, request: Any) -> Any:
        return call(self._with_token(details), request)

    intercept_unary_unary = intercept_unary_stream = _intercept
    intercept_stream_unary = intercept_stream_stream = _intercept

    def _with_token(self, details: Any) -> _Details:
        metadata = [*(details.metadata or ()), self._metadata]
        return _Details(
            details.method,
            details.timeout,
            metadata,
            details.credentials,
            details.wait_for_ready,
            details.compression,
        )


def authorized(channel: grpc.Channel, token: str = TOKEN) -> grpc.Channel:
    """The channel, each of whose calls carries the token."""
    return grpc.intercept_channel(channel, _Authorized(token))
