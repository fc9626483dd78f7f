"""What must be true of an exception that a caller raises or changes, beyond what the protos say.

Which fields are required, and how large they may be, is declared in the protos.
"""

from kintsugi.v1 import exception_pb2 as pb

from server.domain.errors import Violation
from server.domain.exception_groups import GROUPS
from server.domain.names import ExceptionGroupName, WorkspaceName

MAX_EXTRA_BYTES = 256 * 1024


def violations(workspace: WorkspaceName, exception: pb.Exception) -> list[Violation]:
    """All that is wrong, by fields of the exception; empty when nothing is."""
    return [
        *_run_violations(workspace, exception.run),
        *_location_violations(exception.location.start_byte, exception.location.end_byte),
        *_group_violations(workspace, exception.group),
        *_extra_violations(exception),
    ]


def _run_violations(workspace: WorkspaceName, run: str) -> list[Violation]:
    if run.startswith(f"{workspace}/"):
        return []
    return [("run", f"must be a run of the workspace of the exception, {workspace}")]


def _location_violations(start: int, end: int) -> list[Violation]:
    if start < 0:
        return [("location.start_byte", f"is {start}; it can't be negative")]
    if end < start:
        return [("location.end_byte", f"is {end}, before start_byte, {start}")]
    return []


def _extra_violations(exception: pb.Exception) -> list[Violation]:
    extra = exception.extra
    if exception.ByteSize() <= MAX_EXTRA_BYTES:  # quicker, and never less
        return []
    size = sum(len(key.encode()) + len(value.encode()) for key, value in extra.items())
    if size <= MAX_EXTRA_BYTES:
        return []
    return [("extra", f"has {size} bytes together; at most {MAX_EXTRA_BYTES} are allowed")]


def _group_violations(workspace: WorkspaceName, text: str) -> list[Violation]:
    if not text or text in GROUPS:
        return []
    known = [ExceptionGroupName(workspace.organization, workspace.workspace, id) for id in GROUPS]
    if text in map(str, known):
        return []
    return [("group", f"{text[:200]!r} is no group; the groups are {', '.join(GROUPS)}")]
