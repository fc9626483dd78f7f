"""What makes two raised exceptions the same one.

Only what was raised counts; state, time and who raised it don't.
"""

import hashlib

from kintsugi.v1 import exception_pb2 as pb


def identity(exception: pb.Exception) -> bytes:
    """32 bytes that are equal for the same run, location, message and execution id only."""
    location = exception.location
    parts = (
        exception.run,
        f"{location.start_byte}:{location.end_byte}",
        exception.execution_id,
        exception.message,
    )
    digest = hashlib.sha256()
    for part in parts:
        encoded = part.encode()
        digest.update(len(encoded).to_bytes(8, "big"))
        digest.update(encoded)
    return digest.digest()
