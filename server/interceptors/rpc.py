"""One RPC on its way through the interceptors.

Handlers see only the `Call`, by `domain.call.current_call`.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import grpc

from server.interceptors.methods import Method


@dataclass(frozen=True, slots=True)
class Rpc:
    """Either `request` is given or, where the client streams, `requests`.

    `method` is None for health and reflection, which declare nothing. `kind` is what metrics call
    it: unary, client_stream, server_stream or bidi_stream.
    """

    path: str
    method: Method | None
    kind: str
    request: Any
    requests: Iterator[Any] | None
    context: grpc.ServicerContext

    @property
    def is_stream(self) -> bool:
        return self.kind != "unary"

    @property
    def code(self) -> grpc.StatusCode | None:
        """The status that the call was ended with so far; None is OK, or that nothing was said."""
        code: grpc.StatusCode | None = self.context.code()  # type: ignore[attr-defined]
        return code


Layer = Callable[[Rpc], AbstractContextManager[None]]
"""What one concern does around a handler, for all four kinds of RPC alike."""
