"""Sessions while everything is killed: what was acknowledged is there, no action is sent under two
keys, no session is stuck, and what happened is what may happen.

KINTSUGI_SOAK=1 makes 200 runs of it; KINTSUGI_STORM_SEED repeats one that failed.
"""

import os
import random
import signal
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import psycopg
import pytest
from google.protobuf.message import Message
from kintsugi.v1 import (
    action_pb2,
    action_service_pb2,
    agent_session_service_pb2,
    exception_pb2,
    exception_service_pb2,
)
from kintsugi.v1 import agent_session_pb2 as pb
from kintsugi.v1 import connector_service_pb2 as connector_service
from kintsugi.v1.action_service_pb2_grpc import ActionServiceStub
from kintsugi.v1.agent_session_service_pb2_grpc import AgentSessionServiceStub
from kintsugi.v1.connector_service_pb2_grpc import ConnectorServiceStub
from kintsugi.v1.exception_service_pb2_grpc import ExceptionServiceStub
from kintsugi.v1.location_pb2 import Location

from server import failpoints
from server.launch.child import Child
from server.launch.postgres import DATABASE, Postgres
from server.store.migrate import migrate
from tests.conftest import KINTSUGI
from tests.faults.session_model import ACTION, SESSION, histories, misfits
from tests.identity import authorized, make_owner
from tests.integration.client import WORKSPACE
from tests.target_system import TargetSystem, target_system

SOAK = "KINTSUGI_SOAK" in os.environ
RUNS = int(os.environ.get("KINTSUGI_STORM_RUNS", "200" if SOAK else "20"))
SEED = int(os.environ.get("KINTSUGI_STORM_SEED", "0"))
SESSIONS = 4
QUIET_SECONDS = 60
FAILPOINTS = (
    failpoints.AFTER_COMMIT_BEFORE_REPLY,
    failpoints.AFTER_APPROVE_BEFORE_EXECUTE,
    failpoints.AFTER_SEND_BEFORE_RESULT,
    failpoints.AFTER_RESULT_BEFORE_COMMIT,
)
TEMPORARY = (
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.CANCELLED,
    grpc.StatusCode.DEADLINE_EXCEEDED,
    grpc.StatusCode.RESOURCE_EXHAUSTED,
)


class Service:
    """PostgreSQL, two servers and two workers, each of which may be killed and is started again.

    To be used from the main thread: children die with the thread that started them.
    """

    def __init__(self, directory: Path, ports: Callable[[int], int]) -> None:
        self._directory = directory
        self._failpoints = directory / "failpoints"
        self._failpoints.mkdir()
        self._postgres = Postgres(directory, directory / "postgres.log")
        self._postgres.start()
        self.database = self._postgres.url(DATABASE)
        migrate(self.database)
        make_owner(self.database)
        self.died = 0
        first = ports(2)
        self.ports = (first, first + 1)
        self._children = {
            **{
                f"server-{port}": self._child("serve", "--grpc-port", str(port))
                for port in self.ports
            },
            **{f"worker-{number}": self._child("worker") for number in (1, 2)},
        }
        for child in self._children.values():
            child.start()

    def _child(self, *arguments: str) -> Child:
        log = (
            self._directory / f"{'-'.join(arguments).replace('--', '')}-{uuid.uuid4().hex[:4]}.log"
        )
        return Child(" ".join(arguments), [KINTSUGI, *arguments], log, env=self._env())

    def _env(self) -> dict[str, str]:
        return os.environ | {
            "KINTSUGI_DATABASE_URL": self.database,
            "KINTSUGI_LEASE_SECONDS": "2",
            "KINTSUGI_GRACE_SECONDS": "0.5",
            "KINTSUGI_AGENT_STARTS_PER_HOUR": "10000",
            failpoints.VARIABLE: str(self._failpoints),
        }

    def hurt(self, chance: random.Random) -> None:
        """Kills something, or has whoever comes to a certain point first die there."""
        point = chance.choice((*FAILPOINTS, *("" for _ in FAILPOINTS)))
        victim = chance.choice([*self._children, "database"])
        if point:
            (self._failpoints / point).touch()
        elif victim == "database":
            self._postgres.child.send(signal.SIGKILL)
            self._postgres.child.wait(10)
            self._start_database()
        else:
            self._children[victim].send(signal.SIGKILL)
            self._children[victim].wait(10)
            self._children[victim].start()

    def mend(self) -> None:
        """Starts what is dead, and has nothing more die."""
        for point in self._failpoints.iterdir():
            point.unlink(missing_ok=True)
        self.tend()

    def tend(self) -> None:
        """Starts what died."""
        for child in self._children.values():
            if not child.alive:
                self.died += child.code == failpoints.KILLED
                child.start()

    def _start_database(self) -> None:
        for _ in range(100):
            self._postgres.child.start()
            for _ in range(100):
                if not self._postgres.child.alive:
                    break
                try:
                    psycopg.connect(self.database, connect_timeout=2).close()
                except psycopg.Error:
                    time.sleep(0.05)
                else:
                    return
            time.sleep(0.1)
        raise AssertionError("PostgreSQL doesn't start again")

    def stop(self) -> None:
        for child in self._children.values():
            child.send(signal.SIGKILL)
            child.wait(10)
        self._postgres.stop()

    def last_words(self) -> str:
        return "\n".join(
            f"{name}: {line}"
            for name, child in self._children.items()
            for line in child.last_words()
        )


class Caller:
    """Calls one of the servers, and, as long as that only fails for now, another one."""

    def __init__(self, ports: tuple[int, ...], chance: random.Random) -> None:
        self._chance = chance
        self._channels = [authorized(grpc.insecure_channel(f"127.0.0.1:{port}")) for port in ports]

    def close(self) -> None:
        for channel in self._channels:
            channel.close()

    def __call__(self, stub: type, method: str, request: Message, *, is_once: bool = False) -> Any:
        """The answer. Raises RpcError for what isn't temporary."""
        until = time.monotonic() + 90
        while True:
            call = getattr(stub(self._chance.choice(self._channels)), method)
            try:
                return call(request, timeout=10)
            except grpc.RpcError as error:
                if error.code() not in TEMPORARY or is_once or time.monotonic() > until:
                    raise
            time.sleep(0.05)


class Story:
    """One session as its user lives it; what the service said yes to is kept."""

    def __init__(self, caller: Caller, chance: random.Random) -> None:
        self._call = caller
        self._chance = chance
        self.session = ""
        self.exception = ""
        self.approved: list[str] = []
        self.proposed: list[str] = []
        self.is_cancelled = False

    def live(self) -> None:
        self._raise()
        self._start()
        if not self._is_awaiting():
            return
        for _ in range(self._chance.randint(1, 3)):
            self._propose()
        ending = self._chance.choice(("execute", "execute", "execute", "both", "cancel", "reject"))
        if ending == "cancel":
            self._cancel()
        elif ending == "reject":
            self._reject()
        else:
            self._execute()
            if ending == "both":
                time.sleep(self._chance.uniform(0, 0.3))
                self._cancel()

    def _raise(self) -> None:
        run = f"{WORKSPACE}/automations/storm/runs/{uuid.uuid4().hex}"
        raised = exception_pb2.Exception(run=run, message="KeyError: 'total'", location=Location())
        request = exception_service_pb2.CreateExceptionRequest(
            parent=WORKSPACE, exception=raised, request_id=uuid.uuid4().hex
        )
        self.exception = self._call(ExceptionServiceStub, "CreateException", request).name

    def _start(self) -> None:
        request = agent_session_service_pb2.CreateAgentSessionRequest(
            parent=WORKSPACE,
            agent_session=pb.AgentSession(exception=self.exception),
            request_id=uuid.uuid4().hex,
        )
        self.session = self._call(AgentSessionServiceStub, "CreateAgentSession", request).name

    def read(self) -> pb.AgentSession:
        request = agent_session_service_pb2.GetAgentSessionRequest(name=self.session)
        answer: pb.AgentSession = self._call(AgentSessionServiceStub, "GetAgentSession", request)
        return answer

    def _is_awaiting(self) -> bool:
        until = time.monotonic() + QUIET_SECONDS
        while time.monotonic() < until:
            state = self.read().state
            if state == pb.AgentSession.STATE_AWAITING_CONFIRMATION:
                return True
            assert state in (pb.AgentSession.STATE_STARTED, pb.AgentSession.STATE_ANALYZING)
            time.sleep(0.02)
        raise AssertionError(f"{self.session} was never analysed")

    def _propose(self) -> None:
        kind = self._chance.choice(("post_once", "put_again"))
        manner = self._chance.choice(("ok", "ok", "ok", "slow", "slow", "fail", "hang"))
        action = action_pb2.Action(action_type=kind)
        action.parameters.update({"manner": manner})
        request = action_service_pb2.CreateActionRequest(
            parent=self.session, action=action, request_id=uuid.uuid4().hex
        )
        self.proposed.append(self._call(ActionServiceStub, "CreateAction", request).name)

    def _execute(self) -> None:
        """Perhaps twice at once, of which one may win."""
        calls = self._chance.choice((1, 1, 2))
        with ThreadPoolExecutor(calls) as pool:
            won = sum(pool.map(lambda _: self._executed(), range(calls)))
        assert won == 1, f"{won} of {calls} approvals of {self.session} won"
        self.approved = list(self.proposed)

    def _executed(self) -> bool:
        chosen = [agent_session_service_pb2.ChosenAction(action=name) for name in self.proposed]
        request = agent_session_service_pb2.ExecuteActionsRequest(
            name=self.session, actions=chosen, request_id=uuid.uuid4().hex
        )
        return self._is_accepted("ExecuteActions", request)

    def _cancel(self) -> None:
        request = agent_session_service_pb2.CancelAgentSessionRequest(
            name=self.session, request_id=uuid.uuid4().hex
        )
        self.is_cancelled = self._is_accepted("CancelAgentSession", request)

    def _reject(self) -> None:
        chosen = [agent_session_service_pb2.ChosenAction(action=name) for name in self.proposed]
        request = agent_session_service_pb2.RejectActionsRequest(
            name=self.session, actions=chosen, request_id=uuid.uuid4().hex
        )
        assert self._is_accepted("RejectActions", request)

    def _is_accepted(self, method: str, request: Message) -> bool:
        try:
            self._call(AgentSessionServiceStub, method, request)
        except grpc.RpcError as error:
            if error.code() is not grpc.StatusCode.FAILED_PRECONDITION:
                raise
            return False
        return True


@pytest.fixture(scope="module")
def target() -> Iterator[TargetSystem]:
    with target_system() as made:
        yield made


@pytest.fixture
def service(tmp_path: Path, free_ports: Callable[[int], int]) -> Iterator[Service]:
    made = Service(tmp_path, free_ports)
    yield made
    made.stop()


@pytest.mark.timeout(1200 if RUNS == 20 else 7200)
def test_sessions_outlive_whatever_is_killed(service: Service, target: TargetSystem) -> None:
    seed = SEED or random.SystemRandom().randrange(2**32)
    chance = random.Random(seed)
    caller = Caller(service.ports, chance)
    _connect(caller, target)
    stories: list[Story] = []
    try:
        for number in range(RUNS):
            stories += _run(service, caller, chance)
            _settle(service, stories[-SESSIONS:])
            _check(service, target, stories, f"run {number + 1} of seed {seed}")
    except Exception as error:
        raise AssertionError(f"seed {seed}: {error}\n{service.last_words()}") from error
    finally:
        caller.close()
    assert any(story.approved for story in stories)
    assert service.died, "nothing ever died at a failpoint"
    keys = {asked.key: asked.action for asked in target.asked}
    assert all(keys[asked.key] == asked.action for asked in target.asked)


def _connect(caller: Caller, target: TargetSystem) -> None:
    for kind, method in (("post_once", "POST"), ("put_again", "PUT")):
        request = connector_service.CreateConnectorRequest(
            parent=WORKSPACE, connector_id=kind, request_id=uuid.uuid4().hex
        )
        request.connector.action_type = kind
        http = request.connector.http
        http.method, http.url = method, f"http://{target.address}/{{manner}}"
        http.body = '{"action": "{action.name}"}'
        http.allow_private = True
        http.timeout.FromSeconds(1)
        http.retry.max_attempts = 2
        http.retry.initial_backoff.FromMilliseconds(100)
        caller(ConnectorServiceStub, "CreateConnector", request)


def _run(service: Service, caller: Caller, chance: random.Random) -> list[Story]:
    """Some stories at once, while things are killed."""
    stories = [Story(caller, random.Random(chance.random())) for _ in range(SESSIONS)]
    over = threading.Event()
    with ThreadPoolExecutor(SESSIONS) as pool:
        lives = [pool.submit(story.live) for story in stories]
        until = time.monotonic() + 120
        hurts = chance.randint(1, 3)
        while not all(life.done() for life in lives) and time.monotonic() < until:
            over.wait(chance.uniform(0.05, 0.8))
            if hurts:
                hurts -= 1
                service.hurt(chance)
            service.tend()
        for life in lives:
            life.result(timeout=1)
    if hurts:
        service.hurt(chance)
    return stories


def _settle(service: Service, stories: list[Story]) -> None:
    """Waits until nothing is under way any more."""
    service.mend()
    until = time.monotonic() + QUIET_SECONDS
    for story in stories:
        while not _is_at_rest(seen := story.read()):
            service.tend()
            assert time.monotonic() < until, f"{story.session} is stuck: {seen}"
            time.sleep(0.05)


def _is_at_rest(session: pb.AgentSession) -> bool:
    moving = (action_pb2.Action.STATE_APPROVED, action_pb2.Action.STATE_EXECUTING)
    return session.state >= pb.AgentSession.STATE_AWAITING_CONFIRMATION and (
        session.state != pb.AgentSession.STATE_EXECUTING
        and not any(action.state in moving for action in session.actions)
    )


def _check(service: Service, target: TargetSystem, stories: list[Story], where: str) -> None:
    sessions, actions = histories(service.database)
    assert [*misfits(sessions, SESSION), *misfits(actions, ACTION)] == [], where
    for story in stories[-SESSIONS:]:
        seen = story.read()
        assert story.session in sessions
        assert set(story.proposed) <= set(actions)
        for name in story.approved:
            assert "APPROVED" in actions[name], f"{where}: {name} was approved"
        if story.is_cancelled:
            assert seen.state == pb.AgentSession.STATE_CANCELLED, where
        for action in seen.actions:
            _check_action(action, actions[action.name], target, where)


def _check_action(action: action_pb2.Action, states: Any, target: TargetSystem, where: str) -> None:
    asked = target.of(action.name)
    told = f"{where}: {action.name} {states} was asked {asked}"
    assert len({each.key for each in asked}) <= 1, told
    assert "EXECUTING" in states or not asked, told
    if action.action_type == "post_once":
        assert len(asked) <= 1, told
    if states[-1] in ("SUCCEEDED", "FAILED") and action.HasField("request"):
        manner = action.request.url.rpartition("/")[2]
        assert (states[-1] == "SUCCEEDED") == (manner in ("ok", "slow")), told
        assert asked, told
    if states[-1] == "SUCCEEDED":
        assert action.result.success, told
