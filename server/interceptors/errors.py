"""Every error becomes a `google.rpc.Status` with details (AIP-193); nothing else leaks out.

What errors there are is said in `domain/errors.py`, how they are sent in `domain/status.py`.
"""

from collections.abc import Callable
from math import ceil
from types import TracebackType
from typing import NoReturn

import grpc
from grpc_status import rpc_status

from server.domain.errors import KintsugiError
from server.domain.status import status_of
from server.interceptors.refusals import RefusedCalls
from server.interceptors.rpc import Rpc
from server.logs import internal_error

RETRY_AFTER = "retry-after"


class Answered:
    """Around an RPC: aborts it with the status of a KintsugiError; of anything else only the log
    says more. Refusals are counted."""

    __slots__ = ("_refused", "_rpc")

    def __init__(self, rpc: Rpc, refused: RefusedCalls) -> None:
        self._rpc = rpc
        self._refused = refused

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, _kind: object, error: BaseException | None, _traceback: TracebackType | None
    ) -> None:
        if isinstance(error, KintsugiError):
            self._refused.note(self._rpc, error)
            abort(self._rpc.context, error)
        # What a handler that isn't ours aborted itself has a code.
        if isinstance(error, Exception) and self._rpc.code is None:
            abort(self._rpc.context, internal_error(self._rpc.path))


def abort(context: grpc.ServicerContext, error: KintsugiError) -> NoReturn:
    """Ends the call with the error's status."""
    aborting(error)(context)


def aborting(error: KintsugiError) -> Callable[[grpc.ServicerContext], NoReturn]:
    """What ends calls with the error, made once for all that it ends."""
    status = rpc_status.to_status(status_of(error))
    metadata = status.trailing_metadata
    if error.retry_seconds is not None:  # in whole seconds, as HTTP has it
        metadata = (*metadata, (RETRY_AFTER, str(ceil(error.retry_seconds))))

    def end(context: grpc.ServicerContext) -> NoReturn:
        context.set_trailing_metadata(metadata)
        context.abort(status.code, status.details)

    return end
