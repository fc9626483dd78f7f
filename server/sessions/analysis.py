"""Has a reasoner work out what a session is about, and proposes what it concludes.

What came of it is kept by `operations/session_progress.py`.
"""

from kintsugi.v1 import agent_session_pb2 as pb

from server.domain.agent_session_state import STARTED
from server.domain.names import ExceptionName
from server.operations import session_progress
from server.operations.session_turn import Desk
from server.sessions.journal import Journal
from server.sessions.reasoner import Reasoner, Subject
from server.sessions.task import OutOfTime, Task
from server.store.leases import Lease

MOST_ATTEMPTS = 5
"""How often an analysis, or an answer, is begun."""


class Analysis:
    """How sessions are analysed: by whom, and how long one may take, in seconds."""

    def __init__(self, desk: Desk, reasoner: Reasoner, seconds: float) -> None:
        self._desk = desk
        self._reasoner = reasoner
        self._seconds = seconds

    def run(self, task: Task, standing: session_progress.Standing) -> bool:
        """Analyses; answers whether something is to be executed right away.

        Raises Stopped, Superseded, LeaseLost, and whatever the reasoner does, which is tried again.
        """
        if standing.held.attempts >= MOST_ATTEMPTS:
            error = f"the analysis was begun {MOST_ATTEMPTS} times, and never came to its end"
            session_progress.fail(self._desk, task.lease, error)
            return False
        session, left = standing.session, standing.held.analysis_left
        if session.state == STARTED:
            session = session_progress.begin_analysis(self._desk, task.lease, self._seconds)
            left = self._seconds
        task.limit(self._seconds if left is None else left)
        try:
            task.check()
            subject = subject_of(self._desk, task.lease, session)
            conclusion = self._reasoner.analyse(subject, Journal(self._desk, task))
            task.check()
        except OutOfTime:
            error = f"the analysis took longer than {self._seconds:g} s"
            session_progress.fail(self._desk, task.lease, error)
            return False
        return session_progress.propose(self._desk, task.lease, conclusion)


def subject_of(desk: Desk, lease: Lease, session: pb.AgentSession) -> Subject:
    """What a reasoner needs to know of a session."""
    name = session.exception
    exception = desk.exceptions.get(ExceptionName.parse(name)) if name else None
    return Subject(lease.workspace, lease.name.parent, session, exception)
