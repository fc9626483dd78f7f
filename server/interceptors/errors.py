"""Every error becomes a `google.rpc.Status` with details (AIP-193); nothing else leaks out.

What errors there are is said in `domain/errors.py`, how they are sent in `domain/status.py`.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from math import ceil
from typing import NoReturn

import grpc
from grpc_status import rpc_status

from server.domain.errors import KintsugiError
from server.domain.status import status_of
from server.interceptors.rpc import Rpc
from server.logs import internal_error

RETRY_AFTER = "retry-after"


@contextmanager
def errors(rpc: Rpc) -> Iterator[None]:
    """Aborts with the status of a KintsugiError; of anything else only the log says more."""
    try:
        yield
    except KintsugiError as error:
        abort(rpc.context, error)
    except Exception:
        if rpc.code is not None:  # aborted by a handler that isn't ours
            raise
        abort(rpc.context, internal_error(rpc.path))


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
