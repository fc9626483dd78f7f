"""What readers of a stream notice when things break under them: nothing is lost, nothing twice.

They break one `kintsugi up`, which each test finds whole again.
"""

import os
import re
import signal
import socket
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from copy import copy
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from tests.acceptance.edges import Edges
from tests.faults.followers import WAYS, WRITERS, Follower, Writers, log_of, new_thread

SOAK = bool(os.environ.get("KINTSUGI_SOAK"))
DROPS = range(1, 21) if SOAK else (1, 7)
MESSAGES = 40 if SOAK else 10
"""By each writer."""


def _follow_through(
    stack: Any, breaking: Callable[[], None], drops: tuple[int | None, ...] = (None,)
) -> list[Follower]:
    """Followers in every way while writers write and something breaks; all must see the log."""
    thread = new_thread(stack)
    followers = [Follower(stack, thread, way, drop) for way in WAYS for drop in drops]
    writers = Writers(stack, thread, MESSAGES)
    with ThreadPoolExecutor(len(followers)) as pool, writers.running():
        expected = WRITERS * MESSAGES

        def is_over(names: list[str]) -> bool:
            return len(names) >= expected or bool(writers.refused)

        seen = [pool.submit(one.until, is_over) for one in followers]
        breaking()
        names = [one.result(timeout=90) for one in seen]
    assert writers.refused == []
    log = log_of(stack, thread)
    assert sorted(log) == sorted(writers.written)
    for one in names:
        assert one == log
    return followers


@pytest.mark.parametrize("drop", DROPS)
def test_a_reader_that_drops_its_stream_again_and_again_sees_exactly_the_log(busy, drop):
    followers = _follow_through(busy, lambda: None, (drop, drop))
    assert all(one.connections >= WRITERS * MESSAGES // drop for one in followers)


def _pids(stack: Any, of: str) -> list[int]:
    return [pid for pid in stack.children() if pid in stack.processes(of)]


def _database_url(stack: Any) -> str:
    """Found where its servers have it: in their environment or command line."""
    (pid, *_) = _pids(stack, "server-1.json")
    for source in ("environ", "cmdline"):
        for part in Path(f"/proc/{pid}/{source}").read_bytes().decode().split("\0"):
            at = part.find("postgresql://")
            if at >= 0:
                return part[at:]
    raise AssertionError("no database URL")


def test_a_killed_server_process(busy, until):
    def kill() -> None:
        for server in ("server-1.json", "server-2.json"):
            (pid,) = _pids(busy, server)
            os.kill(pid, signal.SIGKILL)
            assert until(lambda: "2 of 2" in httpx.get(f"{busy.health}/readyz").text, 30)

    _follow_through(busy, kill)


def test_a_killed_database(busy, until):
    def kill() -> None:
        (pid,) = _pids(busy, "embedded_postgres")
        os.kill(pid, signal.SIGKILL)
        assert until(lambda: httpx.get(f"{busy.health}/readyz", timeout=30).status_code == 200, 60)

    _follow_through(busy, kill)


def test_killed_connections_of_the_listeners_and_all_others(busy):
    def kill() -> None:
        with psycopg.connect(_database_url(busy), autocommit=True) as connection:
            for _ in range(3):
                connection.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                    " WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'"
                )

    _follow_through(busy, kill)


def test_an_envoy_that_is_killed(busy):
    def kill() -> None:
        (pid,) = _pids(busy, "envoy.json")
        os.kill(pid, signal.SIGKILL)

    _follow_through(busy, kill)


def test_a_server_process_that_ends_as_it_should(busy, until):
    def end() -> None:
        (pid,) = _pids(busy, "server-1.json")
        os.kill(pid, signal.SIGTERM)
        assert until(lambda: pid not in busy.children(), 10)

    _follow_through(busy, end)


def test_an_envoy_that_is_drained_for_another(busy, tmp_path, until):
    """The first listens no more and ends, while messages come in; another takes its port."""
    edges = Edges(tmp_path)
    edge = edges.start(busy.grpc, ('"exact": "/ready"', '"prefix": "/"'))
    (first,) = edges.started
    stack = copy(busy)
    stack.rest, stack.edge = f"http://{edge}", edge

    def drain() -> None:
        httpx.post(f"http://{edges.admin()}/drain_listeners").raise_for_status()
        assert until(lambda: not _listens(edge), 10)
        first.send(signal.SIGTERM)
        edges.start(busy.grpc, port=int(edge.rpartition(":")[2]))

    try:
        followers = _follow_through(stack, drain)
    finally:
        edges.stop()
    assert all(one.connections > 1 for one in followers)


def _listens(address: str) -> bool:
    host, _, port = address.rpartition(":")
    with socket.socket() as probe:
        return probe.connect_ex((host, int(port))) == 0


STOPPED = 200
LARGE = 20_000


@contextmanager
def _stopped_readers(stack: Any, thread: str) -> Iterator[None]:
    """Streams over connections of their own from which nothing is ever taken."""
    host, _, port = stack.edge.rpartition(":")
    headers = f"host: {stack.edge}\r\nauthorization: Bearer {stack.token}"
    request = f"GET /api/v1/{thread}/events:stream HTTP/1.1\r\n{headers}\r\n\r\n"
    with ExitStack() as opened:
        for _ in range(STOPPED):
            reader = opened.enter_context(socket.socket())
            reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            reader.connect((host, int(port)))
            reader.sendall(request.encode())
        yield


def _streams(stack: Any) -> int:
    found = re.search(r"^kintsugi_streams (\S+)$", httpx.get(stack.metrics).text, re.MULTILINE)
    assert found
    return int(float(found[1]))


def _memory(processes: list[int]) -> int:
    """Bytes of memory that the processes have together."""
    pages = [int(Path(f"/proc/{pid}/statm").read_text().split()[1]) for pid in processes]
    return sum(pages) * os.sysconf("SC_PAGE_SIZE")


def test_readers_that_stopped_take_little_and_stop_no_other(start_up, until):
    """They are cut off, while one that reads the same thread gets all of it."""
    env = os.environ | {"KINTSUGI_SLOW_READER_SECONDS": "2"}
    stack = start_up("--port", "0", "--workers", "2", env=env)
    thread = new_thread(stack)
    processes = [pid for of in ("server-", "envoy.json") for pid in _pids(stack, of)]
    with Writers(stack, new_thread(stack), MESSAGES).running():
        pass
    before = _memory(processes)
    with _stopped_readers(stack, thread), ThreadPoolExecutor(1) as pool:
        assert until(lambda: _streams(stack) == STOPPED, 30)
        living = Follower(stack, thread, "NDJSON")
        seen = pool.submit(living.until, lambda names: len(names) >= WRITERS * MESSAGES)
        writers = Writers(stack, thread, MESSAGES, padding=LARGE)
        with writers.running():
            pass
        assert seen.result(timeout=60) == log_of(stack, thread)
        assert _memory(processes) - before < STOPPED * 1_000_000
        assert until(lambda: _streams(stack) <= 1, 60)
