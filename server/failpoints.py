"""For tests only: places where a process kills itself, as kill -9 would, when it is told to.

Told it is by an empty file with the place's name in the directory `KINTSUGI_FAILPOINTS`, which it
removes first; without the variable, which is read once, nothing here does anything.
"""

import os
from pathlib import Path

VARIABLE = "KINTSUGI_FAILPOINTS"
KILLED = 137

AFTER_COMMIT_BEFORE_REPLY = "after_commit_before_reply"
"""A server has committed what ExecuteActions does, and not answered yet."""

AFTER_APPROVE_BEFORE_EXECUTE = "after_approve_before_execute"
"""A worker has taken a session with an approved action, and not begun it yet."""

AFTER_SEND_BEFORE_RESULT = "after_send_before_result"
"""A worker has sent a request and has the answer, which it has written nowhere yet."""

AFTER_RESULT_BEFORE_COMMIT = "after_result_before_commit"
"""A worker has written what came of an action, and not committed it yet."""

_DIRECTORY = os.environ.get(VARIABLE, "")


def failpoint(name: str) -> None:
    """Ends the process if it is to fail here."""
    if not _DIRECTORY:
        return
    try:
        Path(_DIRECTORY, name).unlink()
    except FileNotFoundError:
        return
    os._exit(KILLED)
