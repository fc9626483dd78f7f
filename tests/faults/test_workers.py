"""What becomes of sessions when workers are killed, stand still, or have a wrong clock, and when
whoever runs a job again is killed."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import psycopg
import pytest
from kintsugi.v1 import action_service_pb2
from kintsugi.v1 import agent_session_pb2 as pb
from kintsugi.v1.action_pb2 import Action

from server import failpoints
from server.app import Server
from server.config import Settings
from server.launch.child import Child
from tests.conftest import KINTSUGI
from tests.faults import worker_process
from tests.identity import TOKEN
from tests.integration.client import Client
from tests.integration.working import Sessions, states
from tests.targets import Holding, holding

ROOT = Path(__file__).parents[2]
LEASE = 1.0

StartWorker = Callable[..., Child]


@pytest.fixture
def client(database: str) -> Iterator[Client]:
    server = Server(Settings(database_url=database, grpc_port=0, grace_seconds=1))
    client = Client(server.start())
    yield client
    client.channel.close()
    server.stop()


@pytest.fixture
def sessions(client: Client) -> Sessions:
    return Sessions(client)


@pytest.fixture
def target() -> Iterator[Holding]:
    with holding() as target:
        yield target


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """Where workers note what they do, and where they are told what to do."""
    (tmp_path / "notes").touch()
    return tmp_path


@pytest.fixture
def start_worker(database: str, directory: Path) -> Iterator[StartWorker]:
    started: list[Child] = []

    def start(**environment: str) -> Child:
        settings = {"database_url": database, "lease_seconds": LEASE, "grace_seconds": 1}
        child = Child(
            "worker",
            [sys.executable, "-c", "from tests.faults.worker_process import main; main()"],
            directory / f"worker-{len(started)}.log",
            env=os.environ
            | {
                "PYTHONPATH": str(ROOT),
                worker_process.SETTINGS: json.dumps(settings),
                worker_process.DIRECTORY: str(directory),
                failpoints.VARIABLE: str(directory),
            }
            | environment,
        )
        child.start()
        started.append(child)
        return child

    yield start
    for child in started:
        child.send(signal.SIGKILL)
        child.wait(5)


def _notes(directory: Path) -> list[str]:
    return (directory / "notes").read_text().splitlines()


def _steps_of(directory: Path, session: pb.AgentSession) -> list[str]:
    id = session.name.rpartition("/")[2]
    return [line.split()[0] for line in _notes(directory) if line.split()[1] == id]


def _wait_between_steps(sessions: Sessions, session: pb.AgentSession) -> None:
    """Until its first step is kept, and not only done."""
    result = f'"first {session.name.rpartition("/")[2]}"'
    sessions.wait_until(lambda: result in sessions.said(session))


def _kill(child: Child) -> None:
    child.send(signal.SIGKILL)
    assert child.wait(5)


def test_a_killed_analysis_is_taken_over_and_repeats_no_finished_step(
    sessions, start_worker, directory
):
    (directory / "hold").touch()
    worker = start_worker()
    session = sessions.start()
    _wait_between_steps(sessions, session)
    _kill(worker)
    (directory / "hold").unlink()
    start_worker()
    sessions.wait(session.name, "AWAITING_CONFIRMATION")
    assert _steps_of(directory, session) == ["first", "second"]


def test_a_killed_answer_is_taken_over_and_given_once(sessions, start_worker, directory):
    (directory / "hold").touch()
    worker = start_worker()
    chat = sessions.chat()
    sessions.ask(chat, "Why?")
    _wait_between_steps(sessions, chat)
    sessions.ask(chat, "How?")
    _kill(worker)
    (directory / "hold").unlink()
    start_worker()
    sessions.wait_for_answer(chat, "About: How?")
    said = [each for each in sessions.said(chat) if each.startswith("About: ")]
    assert said == ["About: Why?", "About: How?"]
    assert _steps_of(directory, chat) == ["first", "second"] * 2


def test_a_worker_that_stood_still_changes_nothing(sessions, start_worker, directory):
    (directory / "hold").touch()
    stalled = start_worker()
    session = sessions.start()
    _wait_between_steps(sessions, session)
    stalled.send(signal.SIGSTOP)
    other = start_worker()
    (directory / "hold").unlink()
    done = sessions.wait(session.name, "AWAITING_CONFIRMATION")
    said = sessions.said(session)
    _kill(other)
    stalled.send(signal.SIGCONT)
    # It works again, and so has dropped what it had.
    another = sessions.wait(sessions.start().name, "AWAITING_CONFIRMATION")
    assert another.name != session.name
    assert _steps_of(directory, session).count("first") == 1
    assert sessions.said(session) == said
    assert sessions.get(session.name).etag == done.etag


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
def test_a_worker_that_is_asked_to_end_lets_go_of_its_sessions(
    sessions, start_worker, directory, database, *, signum
):
    (directory / "hold").touch()
    worker = start_worker()
    session = sessions.start()
    _wait_between_steps(sessions, session)
    worker.send(signum)
    assert worker.wait(10)
    assert worker.code == 0
    with psycopg.connect(database) as connection:
        [(is_free,)] = connection.execute("SELECT lease IS NULL FROM agent_sessions").fetchall()
    assert is_free


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
def test_a_second_signal_ends_a_worker_that_waits_for_a_request(
    sessions, start_worker, directory, database, target, *, signum
):
    analysing = start_worker()
    session = _approved(sessions, target, timeout={"seconds": 300})
    _kill(analysing)
    target.free.clear()
    ready = directory / "ready"
    worker = Child(
        "kintsugi worker",
        [KINTSUGI, "worker", "--database-url", database, "--ready-file", str(ready)],
        directory / "worker.log",
        env=os.environ | {"KINTSUGI_WORKER_GRACE_SECONDS": "300", "KINTSUGI_GRACE_SECONDS": "300"},
    )
    worker.start()
    try:
        sessions.execute(session)
        sessions.wait_until(lambda: target.keys)
        worker.send(signum)
        sessions.wait_until(lambda: "waits_seconds" in ready.read_text())
        assert worker.alive
        worker.send(signum)
        assert worker.wait(20)
        assert worker.code == -signum
    finally:
        worker.send(signal.SIGKILL)
        worker.wait(5)
    [action] = sessions.get(session.name).actions
    assert action.state == Action.STATE_EXECUTING  # whoever takes over finds out


def test_a_run_whose_exec_is_killed_is_unknown_when_its_claim_is_over(
    client, sessions, start_worker, directory, database
):
    start_worker()
    waits = "while [ -e again ] && [ ! -e end ]; do sleep 0.1; done"
    job = f"cd {directory}; echo try >> tries; {waits}; exit 3"
    with (directory / "exec.log").open("wb") as output:
        run = subprocess.Popen(
            [KINTSUGI, "exec", "--automation", "killed", "--", "sh", "-c", job],
            env=os.environ
            | {"KINTSUGI_SERVER": f"127.0.0.1:{client.port}", "KINTSUGI_TOKEN": TOKEN},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )
    try:
        [exception] = sessions.wait_until(lambda: client.list().exceptions)
        (directory / "again").touch()
        session = sessions.wait(sessions.start(exception.name).name, "AWAITING_CONFIRMATION")
        action = sessions.actions.CreateAction(
            action_service_pb2.CreateActionRequest(
                parent=session.name, action=Action(action_type="retry_run")
            )
        )
        sessions.execute(session, action.name)
        sessions.wait_until(lambda: (directory / "tries").read_text() == "try\n" * 2)
    finally:
        run.kill()
        run.wait()
        (directory / "end").touch()
    with psycopg.connect(database, autocommit=True) as connection:
        aged = connection.execute(
            "UPDATE actions SET claim_until = clock_timestamp() WHERE claim <> ''"
        )
        connection.execute("UPDATE agent_sessions SET due_time = clock_timestamp()")
    assert aged.rowcount == 1
    again = sessions.wait(session.name, "AWAITING_CONFIRMATION")
    ended = [each for each in again.actions if each.action_type == "retry_run"]
    assert [each.state for each in ended] == [Action.STATE_UNKNOWN, Action.STATE_PROPOSED]
    assert "went away" in ended[0].result.error
    assert (directory / "tries").read_text() == "try\n" * 2


def _approved(sessions: Sessions, target: Holding, **http: Any) -> pb.AgentSession:
    sessions.connect(target, **http)
    return sessions.wait(sessions.start().name, "AWAITING_CONFIRMATION")


@pytest.mark.parametrize(
    ("place", "ended"),
    [
        (failpoints.AFTER_APPROVE_BEFORE_EXECUTE, ["SUCCEEDED"]),
        (failpoints.AFTER_SEND_BEFORE_RESULT, ["UNKNOWN", "PROPOSED"]),
        (failpoints.AFTER_RESULT_BEFORE_COMMIT, ["UNKNOWN", "PROPOSED"]),
    ],
)
def test_an_unsafe_action_is_never_sent_twice(
    sessions, start_worker, directory, target, *, place, ended
):
    worker = start_worker()
    session = _approved(sessions, target, timeout={"seconds": 1})
    (directory / place).touch()
    sessions.execute(session)
    assert worker.wait(20)
    assert worker.code == failpoints.KILLED
    start_worker()
    done = sessions.wait(session.name, "AWAITING_CONFIRMATION", "COMPLETED")
    assert states(done) == ended
    assert len(target.keys) == 1


@pytest.mark.parametrize(
    ("place", "sent"),
    [
        (failpoints.AFTER_APPROVE_BEFORE_EXECUTE, 1),
        (failpoints.AFTER_SEND_BEFORE_RESULT, 2),
        (failpoints.AFTER_RESULT_BEFORE_COMMIT, 2),
    ],
)
def test_a_safe_action_is_repeated_under_the_same_key(
    sessions, start_worker, directory, target, *, place, sent
):
    worker = start_worker()
    session = _approved(sessions, target, timeout={"seconds": 1}, idempotent=True)
    (directory / place).touch()
    sessions.execute(session)
    assert worker.wait(20)
    start_worker()
    done = sessions.wait(session.name, "COMPLETED")
    assert states(done) == ["SUCCEEDED"]
    assert len(target.keys) == sent
    assert len(set(target.keys)) == 1


@pytest.mark.parametrize("skew", ["3600", "-3600"])
def test_a_wrong_clock_changes_nothing(sessions, start_worker, directory, target, skew):
    start_worker(**{worker_process.SKEW: skew})
    session = _approved(sessions, target)
    sessions.execute(session)
    done = sessions.wait(session.name, "COMPLETED")
    [action] = done.actions
    times = [
        done.create_time,
        action.create_time,
        action.approve_time,
        action.result.execute_time,
        done.end_time,
    ]
    assert [each.ToNanoseconds() for each in times] == sorted(
        each.ToNanoseconds() for each in times
    )
    assert done.end_time.ToSeconds() - done.create_time.ToSeconds() < 3000
    assert _steps_of(directory, session) == ["first", "second"]


def test_sessions_go_on_when_the_database_was_away(
    sessions, start_worker, directory, database, until
):
    (directory / "hold").touch()
    start_worker()
    session = sessions.start()
    _wait_between_steps(sessions, session)
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
    (directory / "hold").unlink()

    def is_back() -> bool:
        try:
            return bool(sessions.get(session.name).name)
        except grpc.RpcError:  # its connection was one of those
            return False

    assert until(is_back, 10)
    sessions.wait(session.name, "AWAITING_CONFIRMATION")
    assert _steps_of(directory, session) == ["first", "second"]


def test_many_workers_do_each_step_once(sessions, start_worker, directory):
    for _ in range(3):
        start_worker()
    started = [sessions.start() for _ in range(30)]
    for each in started:
        sessions.wait(each.name, "AWAITING_CONFIRMATION")
        assert _steps_of(directory, each) == ["first", "second"]


def test_a_killed_worker_is_started_again_beside_the_servers(start_up, until):
    stack = start_up("--port", "0", "--workers", "1")
    [killed] = _workers(stack)
    os.kill(killed, signal.SIGKILL)
    assert until(lambda: _workers(stack) not in ([], [killed]), 20)
    raised = stack.http.post(stack.exceptions, json=stack.new_exception("billing")).json()
    sessions = f"{stack.rest}/api/v1/{stack.workspace}/agentSessions"
    session = stack.http.post(sessions, json={"exception": raised["name"]}).json()
    url = f"{stack.rest}/api/v1/{session['name']}"
    assert until(lambda: stack.http.get(url).json()["state"] == "STATE_AWAITING_CONFIRMATION", 20)
    assert stack.stop() == 0
    stack.wait_gone()


def _workers(stack: Any) -> list[int]:
    return [pid for pid in stack.children() if pid in stack.processes("worker.json")]
