"""One RPC on its way through the interceptors.

Handlers see only the `Call`, by `domain.call.current_call`.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import grpc

from server.domain.call import Call
from server.interceptors.methods import Method


class Rpc:
    """Either `request` is given or, where the client streams, `requests`.

    `method` is None for health and reflection, which declare nothing. `kind` is what metrics call
    it: unary, client_stream, server_stream or bidi_stream. `call` is None until it is known who
    calls. `metadata` has one value of each key, `pairs` all of them.
    """

    __slots__ = (
        *("call", "context", "kind", "metadata", "method", "pairs"),
        *("path", "request", "requests"),
    )

    def __init__(  # noqa: PLR0913, PLR0917 (all that is known of it)
        self,
        path: str,
        method: Method | None,
        kind: str,
        request: Any,
        requests: Iterator[Any] | None,
        context: Any,
    ) -> None:
        self.path = path
        self.method = method
        self.kind = kind
        self.request = request
        self.requests = requests
        self.context: grpc.ServicerContext = context
        self.pairs: tuple[tuple[str, str | bytes], ...] = context.invocation_metadata()
        self.metadata: Mapping[str, str | bytes] = dict(self.pairs)
        self.call: Call | None = None

    @property
    def is_stream(self) -> bool:
        return self.kind != "unary"

    @property
    def code(self) -> grpc.StatusCode | None:
        """The status that the call was ended with so far; None is OK, or that nothing was said."""
        code: grpc.StatusCode | None = self.context.code()  # type: ignore[attr-defined]
        return code
