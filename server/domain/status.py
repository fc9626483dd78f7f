"""An error as it is sent: a `google.rpc.Status` with details (AIP-193).

What errors there are is said in `domain/errors.py`.
"""

from google.protobuf.any_pb2 import Any
from google.rpc.error_details_pb2 import ErrorInfo
from google.rpc.status_pb2 import Status
from kintsugi.v1.error_reason_pb2 import ErrorReason

from server.domain.errors import KintsugiError

DOMAIN = "kintsugi"


def status_of(error: KintsugiError) -> Status:
    """Code, message, an ErrorInfo, and the error's own details."""
    info = ErrorInfo(reason=ErrorReason.Name(error.reason), domain=DOMAIN, metadata=error.metadata)
    status = Status(code=error.code, message=error.message)
    for detail in (info, *error.details()):
        packed = Any()
        packed.Pack(detail)
        status.details.append(packed)
    return status
