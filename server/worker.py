"""The composition root of a worker: makes it out of its parts and runs it.

Beside `app.py`, which does the same for a server process.
"""

import json
import os
import signal
from collections.abc import Callable, Collection

import structlog

from server import database, logs
from server.config import Settings, unknown_variables
from server.operations.session_turn import Desk
from server.operations.session_upkeep import keep_sweeping
from server.outbound.sending import Sender
from server.sessions.analysis import Analysis
from server.sessions.chat import Chat
from server.sessions.course import Course
from server.sessions.execution import Execution
from server.sessions.intake import Intake
from server.sessions.reasoner import Reasoner
from server.sessions.reasoners.guide import GuideReasoner
from server.sessions.runtime import Grace, Pace, Runtime
from server.store.connection import Database
from server.store.listener import Listener
from server.store.notifier import Notifier
from server.store.store import Store
from server.store.topics import EVERYTHING, SESSIONS

_log = structlog.get_logger()

_ENDING = (signal.SIGTERM, signal.SIGINT)


class Worker:
    """Goes on with agent sessions, from when it is made until it is stopped."""

    def __init__(self, settings: Settings, reasoner: Callable[[Store], Reasoner]) -> None:
        self._settings = settings
        url, at_once = settings.database_url, settings.sessions_at_once
        # What keeps leases and takes sessions never waits for what is done with them, nor for what
        # is read and counted beside.
        self._leases = Database(url, connections=2)
        self._upkeep = Database(url, connections=2)
        self._database = Database(url, connections=at_once + 1)
        self._notifier = Notifier(url)
        store = Store(self._database, self._notifier)
        desk = Desk(store, settings.lease_seconds, settings.approval_seconds)
        thinker, seconds = reasoner(store), settings.analysis_seconds
        execution = Execution(desk, Sender(settings.secrets_dir))
        analysis, chat = Analysis(desk, thinker, seconds), Chat(desk, thinker, seconds)
        course = Course(desk, analysis, execution, chat)
        pace = Pace(at_once, settings.lease_seconds)
        self._runtime = Runtime(self._leases, course.follow, pace)
        kept_up = Store(self._upkeep, self._notifier)
        self._intake = Intake(kept_up)
        self._sweep = keep_sweeping(kept_up)
        self._listener = Listener(url, self._heard)

    def stop(self) -> None:
        """Takes nothing more, lets go of what it can, waits a while for the rest."""
        settings = self._settings
        grace = Grace(settings.grace_seconds, settings.worker_grace_seconds)
        self._runtime.close(grace, self._tell_sending)
        self._listener.close()
        self._intake.close()
        self._sweep.close()
        self._notifier.close()
        self._upkeep.close()
        self._leases.close()
        self._database.close()

    def _tell_sending(self, count: int) -> None:
        seconds = self._settings.worker_grace_seconds
        _log.info("waiting for requests to end", count=count, most_seconds=seconds)
        if file := self._settings.ready_file:
            file.write_text(json.dumps({"pid": os.getpid(), "waits_seconds": seconds}))

    def _heard(self, topics: Collection[str]) -> None:
        if SESSIONS in topics or EVERYTHING in topics:
            self._runtime.wake()
        # Whatever has changed may be a new exception; looking costs little.
        self._intake.wake()


def run(settings: Settings, reasoner: Callable[[Store], Reasoner] = GuideReasoner) -> None:
    """Works until SIGTERM or Ctrl-C; a second one doesn't wait for anything. Raises CannotRun."""
    logs.configure(settings.log_level)
    for name in unknown_variables():
        _log.warning("unknown setting", name=name)
    # Blocked before any thread is started, the signals wait until they are asked for.
    signal.pthread_sigmask(signal.SIG_BLOCK, _ENDING)
    database.check(settings.database_url)
    worker = Worker(settings, reasoner)
    _log.info("working", pid=os.getpid())
    if settings.ready_file:
        settings.ready_file.write_text(json.dumps({"pid": os.getpid()}))
    signal.sigwait(_ENDING)
    for each in _ENDING:
        signal.signal(each, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _ENDING)
    worker.stop()
    _log.info("stopped", pid=os.getpid())
