"""Carries out what was approved: one action after the other, each attempt written before it leaves.

What becomes of the session is kept by `operations/session_execution.py`.
"""

import random
import time
from collections.abc import Sequence

from kintsugi.v1 import connector_pb2
from kintsugi.v1.action_pb2 import Action

from server.domain.action_state import APPROVED, EXECUTING
from server.domain.connector_rules import backoff_seconds, max_attempts, timeout_seconds
from server.failpoints import (
    AFTER_APPROVE_BEFORE_EXECUTE,
    AFTER_SEND_BEFORE_RESULT,
    failpoint,
)
from server.operations import session_execution as progress
from server.operations.session_turn import Desk
from server.outbound.outcome import Kind, Outcome
from server.outbound.sending import Sender, may_repeat
from server.sessions.task import Task

_CLAIM_SECONDS = 30
"""What whoever waits for a run has to take its `retry_run`."""

_MARGIN_SECONDS = 1
"""Between the last moment of an attempt and the one at which it is over for certain."""

_LONGEST_PAUSE = 60.0


class Execution:
    """How approved actions are carried out."""

    def __init__(self, desk: Desk, sender: Sender) -> None:
        self._desk = desk
        self._sender = sender

    def run(self, task: Task, actions: Sequence[Action]) -> bool:
        """Takes one step; answers whether there is another one right away.

        `actions` are the session's as they are now. Raises Stopped, LeaseLost.
        """
        open_actions = [each for each in actions if each.state in (EXECUTING, APPROVED)]
        if not open_actions:
            return progress.proceed(self._desk, task.lease)
        action = min(open_actions, key=lambda each: each.state == APPROVED)
        if action.state == APPROVED:
            failpoint(AFTER_APPROVE_BEFORE_EXECUTE)
        if action.connector:
            with task.sending():
                return self._send(task, action)
        if action.state == EXECUTING:
            return progress.look_at_claim(self._desk, task.lease, action)
        progress.begin_waiting(self._desk, task.lease, action, _CLAIM_SECONDS)
        return False

    def _send(self, task: Task, action: Action) -> bool:
        begun = time.monotonic()
        sendable = progress.begin_sending(self._desk, task.lease, action, _MARGIN_SECONDS)
        if sendable is None:
            return False
        outcome = self._sender.send(
            sendable.http,
            sendable.action.request,
            workspace=task.lease.name.parent,
            idempotency_key=action.name.rpartition("/")[2],
            seconds=timeout_seconds(sendable.http) - (time.monotonic() - begun),
            cancelled=task.stop,
            unwanted=task.unwanted,
        )
        failpoint(AFTER_SEND_BEFORE_RESULT)
        is_to_repeat = _is_to_repeat(sendable.http, sendable.number, outcome)
        pause = _backoff(sendable.http, sendable.number) if is_to_repeat else None
        return progress.finish(self._desk, task.lease, action, outcome, pause)


def _is_to_repeat(http: connector_pb2.HttpRequest, number: int, outcome: Outcome) -> bool:
    """Whether this attempt is followed by another one: never where it may be done twice."""
    if number >= max_attempts(http):
        return False
    if outcome.kind is Kind.UNSENT:
        return True
    return outcome.kind is Kind.CUT_OFF and may_repeat(http)


def _backoff(http: connector_pb2.HttpRequest, number: int) -> float:
    """Seconds: twice as many each time, a minute at most, and up to half of them more or less, so
    that not all come back at once."""
    pause = min(backoff_seconds(http) * 2.0 ** (number - 1), _LONGEST_PAUSE)
    return pause * random.uniform(0.5, 1.5)  # noqa: S311
