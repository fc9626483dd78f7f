"""Agent sessions on 100,000 past exceptions: how soon one begins and proposes, how many a second.

One worker, with the reasoner `guide`. What the database could commit meanwhile is the baseline.
"""

import os
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from typing import Any, TypeAlias

import grpc
import psycopg
from kintsugi.v1 import agent_session_pb2 as pb
from kintsugi.v1 import agent_session_service_pb2 as sessions
from kintsugi.v1 import event_service_pb2 as events
from kintsugi.v1 import exception_pb2
from kintsugi.v1 import exception_service_pb2 as service
from kintsugi.v1.agent_session_service_pb2_grpc import AgentSessionServiceStub
from kintsugi.v1.event_service_pb2_grpc import EventServiceStub
from kintsugi.v1.exception_service_pb2_grpc import ExceptionServiceStub
from kintsugi.v1.location_pb2 import Location

from bench.measure import ROUNDS, SECONDS, Row, Subject, interleaved, row, row_of_time
from bench.stage import WORKSPACE, Stage, running, temporary_directory
from server.store.topics import CHANNEL, SESSIONS

AWAITING_MS = 100.0
"""The goal from a session's create until it waits for approval."""

SAMPLES = 20
MANY = 200
_AT_ONCE = 8
_PATIENCE_SECONDS = 60
Start: TypeAlias = "pb.AgentSession.Start.ValueType"

_PROPOSED = pb.AgentSession.STATE_AWAITING_CONFIRMATION


def run(stage: Stage) -> list[Row]:
    with _working(stage.database_url), _Caller(stage) as caller:
        caller.proposed()  # connects all that there is
        first, proposed = [], []
        for _ in range(ROUNDS):
            first += [caller.first_event() for _ in range(SAMPLES)]
            proposed += [caller.proposed() for _ in range(SAMPLES)]
        subjects: dict[str, Subject] = {
            "sessions": caller.sessions_a_second,
            "commits": partial(_commits_a_second, stage.database_url),
        }
        figures = interleaved(subjects)
    return [
        row_of_time("session: create to its first event", "ms", first),
        row_of_time("session: create to AWAITING_CONFIRMATION", "ms", proposed, AWAITING_MS),
        row("sessions of one worker / commits", "1/s", figures["sessions"], figures["commits"]),
    ]


@contextmanager
def _working(database_url: str) -> Iterator[None]:
    """A worker, as `kintsugi worker` is one, that has read all there is to read."""
    argv = [sys.executable, "-c", "from cli.main import main; main()", "worker"]
    env = {**os.environ, "KINTSUGI_DATABASE_URL": database_url}
    with temporary_directory() as directory, running("worker", argv, directory, env, None):
        yield


class _Caller:
    """Starts sessions about new exceptions, and looks how they come along."""

    def __init__(self, stage: Stage) -> None:
        self._database: psycopg.Connection[Any] = psycopg.connect(
            stage.database_url, autocommit=True
        )
        self._channel = grpc.insecure_channel(stage.server)
        self._exceptions = ExceptionServiceStub(self._channel)
        self._events = EventServiceStub(self._channel)
        self._sessions = AgentSessionServiceStub(self._channel)
        self._metadata = (("authorization", f"Bearer {stage.token}"),)

    def __enter__(self) -> "_Caller":
        return self

    def __exit__(self, *_: object) -> None:
        self._channel.close()
        self._database.close()

    def first_event(self) -> float:
        """The milliseconds until whoever follows the thread sees something of the session."""
        run, exception = self._raised()
        request = events.StreamEventsRequest(parent=f"{run}/agents/kai")
        stream = self._events.StreamEvents(request, metadata=self._metadata)
        try:
            next(stream)  # that it was raised
            started = time.perf_counter()
            self._start(exception)
            next(stream)
            return (time.perf_counter() - started) * 1000
        finally:
            stream.cancel()

    def proposed(self) -> float:
        """The milliseconds until its actions are there to be approved."""
        _, exception = self._raised()
        started = time.perf_counter()
        request = sessions.GetAgentSessionRequest(name=self._start(exception))
        while self._sessions.GetAgentSession(request, metadata=self._metadata).state < _PROPOSED:
            time.sleep(0.002)
        return (time.perf_counter() - started) * 1000

    def sessions_a_second(self) -> float:
        """How many are analysed, of many that become due at once."""
        names = [
            self._start(self._raised()[1], pb.AgentSession.START_ON_PROPOSE) for _ in range(MANY)
        ]
        ids = [name.rpartition("/")[2] for name in names]
        started = time.perf_counter()
        self._database.execute(
            "UPDATE agent_sessions SET due_time = clock_timestamp(), expire_time = NULL"
            " WHERE id = ANY(%s)",
            [ids],
        )
        self._database.execute("SELECT pg_notify(%s, %s)", [CHANNEL, SESSIONS])
        while self._unproposed(ids):
            if time.perf_counter() > started + _PATIENCE_SECONDS:
                raise RuntimeError("sessions are not analysed")
            time.sleep(0.01)
        return MANY / (time.perf_counter() - started)

    def _unproposed(self, ids: list[str]) -> int:
        [(count,)] = self._database.execute(
            "SELECT count(*) FROM agent_sessions WHERE id = ANY(%s) AND state < %s",
            [ids, _PROPOSED],
        ).fetchall()
        return int(count)

    def _raised(self) -> tuple[str, str]:
        """A run, and the exception of it."""
        run = f"{WORKSPACE}/automations/invoices-1/runs/{uuid.uuid4().hex}"
        raised = exception_pb2.Exception(
            run=run, message="KeyError: 'total' in row 17 of invoices.csv", location=Location()
        )
        request = service.CreateExceptionRequest(parent=WORKSPACE, exception=raised)
        answer = self._exceptions.CreateException(request, metadata=self._metadata)
        return run, str(answer.name)

    def _start(self, exception: str, start: Start = pb.AgentSession.START_AUTO) -> str:
        session = pb.AgentSession(exception=exception, start=start)
        request = sessions.CreateAgentSessionRequest(parent=WORKSPACE, agent_session=session)
        return str(self._sessions.CreateAgentSession(request, metadata=self._metadata).name)


def _commits_a_second(database_url: str) -> float:
    """Rows inserted by as many connections as the worker has, each in a transaction of its own."""
    over = threading.Event()
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS bench_commits (n bigint)")
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        counts = [pool.submit(_commit_until, database_url, over) for _ in range(_AT_ONCE)]
        time.sleep(SECONDS)
        over.set()
        return sum(each.result() for each in counts) / SECONDS


def _commit_until(database_url: str, over: threading.Event) -> int:
    count = 0
    with psycopg.connect(database_url, autocommit=True) as connection:
        while not over.is_set():
            connection.execute("INSERT INTO bench_commits VALUES (1)")
            count += 1
    return count
