"""Waits in the terminal for what becomes of an exception.

What follows from it is decided in `exec`.
"""

import time

from kintsugi.v1 import exception_pb2 as pb

from cli.client import Client
from cli.errors import ServiceError
from cli.terminal import say

PAUSE, LONGEST_PAUSE = 1.0, 15.0


def follow(client: Client, exception: pb.Exception, wait: float | None) -> pb.Exception | None:
    """The exception once it is no longer PENDING, or None after `wait` seconds (None: no end).

    A service that is away is waited for; any other error is raised as ServiceError.
    """
    end = None if wait is None else time.monotonic() + wait
    pause = PAUSE
    while end is None or time.monotonic() < end:
        seen = _look(client, exception.name)
        if seen is None:
            pause = _later(pause)
        elif seen.state != pb.EXCEPTION_STATE_PENDING:
            return seen
        else:
            _tell_changes(exception, seen, was_away=pause > PAUSE)
            exception, pause = seen, PAUSE
        time.sleep(pause if end is None else max(0.0, min(pause, end - time.monotonic())))
    return None


def _look(client: Client, name: str) -> pb.Exception | None:
    """The exception as it is now; None where the service is away."""
    try:
        return client.get(name)
    except ServiceError as error:
        if not error.transient:
            raise
        return None


def _later(pause: float) -> float:
    if pause == PAUSE:
        say("the service can't be reached at the moment; still waiting")
    return min(pause * 2, LONGEST_PAUSE)


def _tell_changes(before: pb.Exception, now: pb.Exception, *, was_away: bool) -> None:
    if was_away:
        say("the service is back")
    if now.assignee != before.assignee:
        say(f"assigned to {now.assignee}" if now.assignee else "assigned to nobody")
    if now.description != before.description:
        say(now.description)
