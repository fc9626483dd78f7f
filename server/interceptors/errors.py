"""Every error becomes a `google.rpc.Status` with details (AIP-193); nothing else leaks out.

What errors there are is said in `domain/errors.py`.
"""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

import grpc
import structlog
from google.protobuf.any_pb2 import Any
from google.rpc.error_details_pb2 import ErrorInfo
from google.rpc.status_pb2 import Status
from grpc_status import rpc_status
from kintsugi.v1.error_reason_pb2 import ErrorReason

from server.domain.errors import InternalError, KintsugiError
from server.interceptors.rpc import Rpc

DOMAIN = "kintsugi"

_log = structlog.get_logger()


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
        reference = secrets.token_hex(4)
        _log.exception("internal error", reference=reference, method=rpc.path)
        abort(rpc.context, InternalError(reference))


def abort(context: grpc.ServicerContext, error: KintsugiError) -> NoReturn:
    """Ends the call with the error's status."""
    status = rpc_status.to_status(status_of(error))
    context.set_trailing_metadata(status.trailing_metadata)
    context.abort(status.code, status.details)


def status_of(error: KintsugiError) -> Status:
    """The error as it is sent: code, message, an ErrorInfo, and the error's own details."""
    info = ErrorInfo(reason=ErrorReason.Name(error.reason), domain=DOMAIN, metadata=error.metadata)
    status = Status(code=error.code, message=error.message)
    for detail in (info, *error.details()):
        packed = Any()
        packed.Pack(detail)
        status.details.append(packed)
    return status
