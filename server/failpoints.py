"""For tests only: where a process kills itself if `KINTSUGI_FAILPOINT` names the place.

Without the variable, which is read once, nothing here does anything.
"""

import os

VARIABLE = "KINTSUGI_FAILPOINT"
KILLED = 137

AFTER_COMMIT_BEFORE_REPLY = "after_commit_before_reply"
"""A server has committed what ExecuteActions does, and not answered yet."""

AFTER_APPROVE_BEFORE_EXECUTE = "after_approve_before_execute"
"""A worker has taken a session with an approved action, and not begun it yet."""

AFTER_SEND_BEFORE_RESULT = "after_send_before_result"
"""A worker has sent a request and has the answer, which it hasn't told anybody yet."""

AFTER_RESULT_BEFORE_COMMIT = "after_result_before_commit"
"""A worker has written what came of an action, and not committed it yet."""

_NAMED = os.environ.get(VARIABLE, "")


def failpoint(name: str) -> None:
    """Ends the process, as kill -9 would, if it is to fail here."""
    if name == _NAMED:
        os._exit(KILLED)
