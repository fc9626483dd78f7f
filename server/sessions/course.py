"""What a worker does with a session that is due, by where it stands.

How it is analysed, executed and answered is in modules of their own.
"""

from kintsugi.v1.action_pb2 import Action

from server.domain import action_state, agent_session_state
from server.domain.agent_session_state import ACTIVE, ANALYZING, AWAITING, EXECUTING, STARTED
from server.operations import session_progress
from server.operations.session_progress import Standing
from server.operations.session_turn import Desk
from server.sessions.analysis import Analysis
from server.sessions.chat import Chat
from server.sessions.execution import Execution
from server.sessions.task import Task

_MOST_ATTEMPTS = 20
"""After so many failures in a row, whatever they are, a session is given up."""


class Course:
    """How a session goes on."""

    def __init__(self, desk: Desk, analysis: Analysis, execution: Execution, chat: Chat) -> None:
        self._desk = desk
        self._analysis = analysis
        self._execution = execution
        self._chat = chat

    def follow(self, task: Task) -> None:
        """Goes on with a session until there is nothing to do for the time being.

        Then it is scheduled for when there is, and let go of.
        Raises Stopped, Superseded, LeaseLost.
        """
        task.check()
        while self._step(task, session_progress.look(self._desk, task.lease)):
            task.check()

    def _step(self, task: Task, standing: Standing) -> bool:
        """Answers whether there is something more to do right away."""
        session, left = standing.session, standing.held.expires_in
        if session.state == ACTIVE:
            return self._chat.run(task, standing)
        if session.state not in agent_session_state.FINAL and self._is_given_up(task, standing):
            return False
        if session.state == ANALYZING or (session.state == STARTED and left is None):
            return self._analysis.run(task, standing)
        if session.state in (STARTED, AWAITING):
            self._look_again(task, is_over=left is not None and left <= 0)
            return False
        if session.state == EXECUTING or any(map(_is_executing, standing.actions)):
            return self._execution.run(task, standing.actions)
        self._look_again(task, is_over=False)
        return False

    def _look_again(self, task: Task, *, is_over: bool) -> None:
        end = session_progress.expire if is_over else session_progress.withdraw
        end(self._desk, task.lease)

    def _is_given_up(self, task: Task, standing: Standing) -> bool:
        if standing.held.attempts < _MOST_ATTEMPTS:
            return False
        error = f"it was tried {_MOST_ATTEMPTS} times to go on, and failed each time"
        session_progress.fail(self._desk, task.lease, error)
        return True


def _is_executing(action: Action) -> bool:
    return action.state == action_state.EXECUTING
