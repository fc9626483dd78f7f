"""Has a reasoner answer what is asked in a chat, one message after the other.

What came of it is kept by `operations/session_chat.py`.
"""

import math

from server.operations import session_chat
from server.operations.session_chat import Message
from server.operations.session_progress import Standing
from server.operations.session_turn import Desk
from server.sessions.analysis import MOST_ATTEMPTS, subject_of
from server.sessions.journal import Journal
from server.sessions.reasoner import Reasoner
from server.sessions.task import OutOfTime, Task


class Chat:
    """How messages are answered: by whom, and how long one may take, in seconds."""

    def __init__(self, desk: Desk, reasoner: Reasoner, seconds: float) -> None:
        self._desk = desk
        self._reasoner = reasoner
        self._seconds = seconds

    def run(self, task: Task, standing: Standing) -> bool:
        """Answers the next message; answers whether there may be another one.

        Raises Stopped, Superseded, LeaseLost, and whatever the reasoner does, which is tried again.
        """
        message = session_chat.next_message(self._desk, task.lease, self._seconds)
        if message is None:
            return False
        if standing.held.attempts > MOST_ATTEMPTS:
            error = f"the answer was begun {MOST_ATTEMPTS} times, and never came to its end"
            session_chat.give_up(self._desk, task.lease, message, error)
            return True
        try:
            self._answer(task, standing, message)
        except OutOfTime:
            error = f"the answer took longer than {self._seconds:g} s"
            session_chat.give_up(self._desk, task.lease, message, error)
        task.limit(math.inf)
        return True

    def _answer(self, task: Task, standing: Standing, message: Message) -> None:
        task.limit(message.seconds_left)
        task.check()
        subject = subject_of(self._desk, task.lease, standing.session)
        journal = Journal(self._desk, task, message.id)
        found = self._reasoner.answer(subject, message.text, journal)
        task.check()
        session_chat.answer(self._desk, task.lease, message, found)
