"""Carries out what was approved: one action after the other, each attempt written before it leaves.

What becomes of the session is kept by `operations/session_execution.py`.
"""

import random
import time
from collections.abc import Sequence

from kintsugi.v1 import connector_pb2
from kintsugi.v1.action_pb2 import Action

from server.domain import action_state
from server.domain.action_state import APPROVED, EXECUTING, FAILED, SUCCEEDED, UNKNOWN
from server.failpoints import (
    AFTER_APPROVE_BEFORE_EXECUTE,
    AFTER_SEND_BEFORE_RESULT,
    failpoint,
)
from server.operations import session_execution as progress
from server.operations.session_execution import Ended
from server.operations.session_turn import Desk
from server.outbound.outcome import Kind, Outcome
from server.outbound.sending import Sender, may_repeat
from server.sessions.task import Task
from server.store.attempts import Attempt

_CLAIM_SECONDS = 30
"""What whoever waits for a run has to take its `retry_run`."""

_MARGIN_SECONDS = 1
"""Between the last moment of an attempt and the one at which it is over for certain."""

_MOST_ATTEMPTS = 3
_BACKOFF_SECONDS = 1.0

_NOBODY = "nobody waits for the run"
_ABANDONED = "whoever ran it went away, and whether it was done isn't known"


class Execution:
    """How approved actions are carried out."""

    def __init__(self, desk: Desk, sender: Sender) -> None:
        self._desk = desk
        self._sender = sender

    def run(self, task: Task, actions: Sequence[Action]) -> bool:
        """Takes one step; answers whether there is another one right away.

        `actions` are the session's as they are now. Raises LeaseLost.
        """
        open_actions = [each for each in actions if each.state in (EXECUTING, APPROVED)]
        if not open_actions:
            return progress.proceed(self._desk, task.lease)
        action = min(open_actions, key=lambda each: each.state == APPROVED)
        if action.state == APPROVED:
            failpoint(AFTER_APPROVE_BEFORE_EXECUTE)
            return self._begin(task, action)
        return self._take_up(task, action)

    def _begin(self, task: Task, action: Action) -> bool:
        if action.connector:
            return self._send(task, action)
        progress.begin_waiting(self._desk, task.lease, action, _CLAIM_SECONDS)
        return False

    def _take_up(self, task: Task, action: Action) -> bool:
        """Goes on with one that is EXECUTING: its worker died, or somebody else carries it out."""
        attempt = progress.last_attempt(self._desk, task.lease, action)
        if attempt is None:
            return self._finish(task, action, Ended(UNKNOWN, error=progress.CUT_OFF))
        if not action.connector:
            return self._look_at_claim(task, action, attempt)
        if attempt.has_ended:
            return self._send(task, action)
        if attempt.seconds_left > 0:
            progress.wait(self._desk, task.lease, attempt.seconds_left)
            return False
        return self._send(task, action, is_cut_off=True)

    def _look_at_claim(self, task: Task, action: Action, attempt: Attempt) -> bool:
        left = attempt.seconds_left if attempt.claimed_for is None else attempt.claimed_for
        if left > 0:
            progress.wait(self._desk, task.lease, left)
            return False
        ended = Ended(UNKNOWN, error=_ABANDONED) if attempt.claim else Ended(FAILED, error=_NOBODY)
        return self._finish(task, action, ended)

    def _send(self, task: Task, action: Action, *, is_cut_off: bool = False) -> bool:
        """Makes an attempt. `is_cut_off`: it isn't known what became of the one before."""
        begun = time.monotonic()
        sendable = progress.begin_sending(
            self._desk, task.lease, action, _MARGIN_SECONDS, is_cut_off=is_cut_off
        )
        if sendable is None:
            return False
        outcome = self._sender.send(
            sendable.http,
            sendable.action.request,
            workspace=task.lease.name.parent,
            idempotency_key=action.name.rpartition("/")[2],
            seconds=progress.seconds_of(sendable.http) - (time.monotonic() - begun),
            cancelled=task.stop,
        )
        failpoint(AFTER_SEND_BEFORE_RESULT)
        if not task.stop.is_set() and _is_to_repeat(sendable.http, sendable.number, outcome):
            pause = _backoff(sendable.http, sendable.number)
            progress.try_later(self._desk, task.lease, action, pause)
            return False
        return self._finish(task, action, _ended(outcome))

    def _finish(self, task: Task, action: Action, ended: Ended) -> bool:
        return progress.finish(self._desk, task.lease, action, ended)


def _ended(outcome: Outcome) -> Ended:
    states: dict[Kind, action_state.State] = {
        Kind.SUCCEEDED: SUCCEEDED,
        Kind.FAILED: FAILED,
        Kind.UNSENT: FAILED,
        Kind.CUT_OFF: UNKNOWN,
    }
    return Ended(states[outcome.kind], outcome.response, outcome.error)


def _is_to_repeat(http: connector_pb2.HttpRequest, number: int, outcome: Outcome) -> bool:
    """Whether this attempt is followed by another one: never where it may be done twice."""
    if number >= (http.retry.max_attempts or _MOST_ATTEMPTS):
        return False
    if outcome.kind is Kind.UNSENT:
        return True
    return outcome.kind is Kind.CUT_OFF and may_repeat(http)


def _backoff(http: connector_pb2.HttpRequest, number: int) -> float:
    """Seconds: twice as many each time, and up to half of them more or less, so that not all come
    back at once."""
    first = http.retry.initial_backoff.ToMilliseconds() / 1000 or _BACKOFF_SECONDS
    return first * 2.0 ** (number - 1) * random.uniform(0.5, 1.5)  # noqa: S311
