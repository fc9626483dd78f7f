"""Runs a job again where that was approved: takes a session's `retry_run`, reports how it ended.

When it is looked for, and what follows for the job, is decided in `follow` and `exec`.
"""

import contextlib
import threading
import time
import uuid
from collections.abc import Callable

import grpc
from kintsugi.v1.action_pb2 import Action

from cli.errors import ServiceError
from cli.run.process import Outcome
from cli.session_client import ActionClient, SessionClient
from cli.terminal import resolve_command, say

KEEP = 15.0
"""Seconds between two calls that keep an action; it is lost after 60 without one."""

REPORT = 90.0
"""Seconds for which a report is tried: by then the action counts as cut off."""


class Retries:
    """Does what `retry_run` actions about one exception ask for.

    `again` runs the job, `told` says in a line why that failed.
    """

    def __init__(
        self,
        actions: ActionClient,
        sessions: SessionClient,
        exception: str,
        again: Callable[[], Outcome],
        told: Callable[[Outcome], str],
    ) -> None:
        self._actions = actions
        self._sessions = sessions
        self._exception = exception
        self._again = again
        self._told = told
        self._claim_id = str(uuid.uuid4())
        self._run: set[str] = set()

    def look(self) -> bool:
        """Whether there was one to be taken, which was run then.

        Raises KeyboardInterrupt where the job was interrupted, and ServiceError.
        """
        if not (action := self._take()):
            return False
        self._run.add(action.name)
        say(f"running it again, as approved by {action.approver}")
        with _Keeping(self._actions, action.name, self._claim_id):
            outcome = self._again()
            self._report(action.name, outcome)
        if outcome.signals:
            raise KeyboardInterrupt
        self._tell_end(action.name.partition("/actions/")[0])
        return True

    def _take(self) -> Action | None:
        """None where there is none, or somebody else was faster, or the service is away: then what
        was taken all the same is ours the next time. None is run twice."""
        try:
            for action in self._actions.executing(self._exception, "retry_run"):
                if action.name not in self._run:
                    return self._actions.claim(action.name, self._claim_id)
        except ServiceError as error:
            if not (error.transient or error.code is grpc.StatusCode.FAILED_PRECONDITION):
                raise
        return None

    def _tell_end(self, session: str) -> None:
        """Says so where nothing comes of it, as the session was ended meanwhile."""
        with contextlib.suppress(ServiceError):
            if why := self._sessions.get(session).error:
                say(f"the session has ended ({why}), so that this resolves nothing; waiting on")
                say(f"when it is repaired: {resolve_command(self._exception)}")

    def _report(self, action: str, outcome: Outcome) -> None:
        """A service that is away is waited for."""
        why = "" if outcome.code == 0 else self._told(outcome)
        until = time.monotonic() + REPORT
        while (error := self._reported(action, outcome.code, why)) is not None:
            if not error.transient or time.monotonic() > until:
                say(f"how it ended couldn't be reported: {error.message}")
                return
            time.sleep(1)

    def _reported(self, action: str, code: int, why: str) -> ServiceError | None:
        try:
            self._actions.report(action, self._claim_id, code, why)
        except ServiceError as error:
            return error
        return None


class _Keeping:
    """Keeps a claimed action as long as the job runs."""

    def __init__(self, actions: ActionClient, action: str, claim_id: str) -> None:
        self._actions = actions
        self._claim = (action, claim_id)
        self._done = threading.Event()

    def __enter__(self) -> None:
        threading.Thread(target=self._keep, daemon=True).start()

    def __exit__(self, *_: object) -> None:
        self._done.set()

    def _keep(self) -> None:
        while not self._done.wait(KEEP):
            try:
                self._actions.claim(*self._claim)
            except ServiceError as error:
                if not error.transient:
                    return
