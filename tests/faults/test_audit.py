"""The audit after a kill of whoever seals: nothing is in its chain twice, nothing is missing."""

import signal
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import psycopg

from server.operations import sealing
from server.store import audit
from server.store.connection import Database
from server.store.notifier import Notifier
from server.store.store import Store

CHANGES = 10_000
_FILL = f"""
    INSERT INTO changes (workspace, principal, method, resource, after)
    SELECT uid, 'users/ada', '/kintsugi.v1.ExceptionService/CreateException',
        'organizations/local/workspaces/default/exceptions/' || n, jsonb_build_object('n', n)
    FROM workspaces, generate_series(1, {CHANGES}) AS n
"""
_SEAL = """
import sys
from server.operations import sealing
from server.store.connection import Database
from server.store.notifier import Notifier
from server.store.store import Store
url = sys.argv[1]
sealing.seal_all(Store(Database(url, connections=1), Notifier(url)))
"""


def test_a_sealer_killed_again_and_again_leaves_a_whole_chain(
    database: str, until: Callable[..., bool]
) -> None:
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute(_FILL)

        def sealed() -> int:
            [(count,)] = connection.execute("SELECT count(*) FROM audit_entries").fetchall()
            return int(count)

        for goal in range(1000, 8000, 1000):
            _kill_at(database, lambda goal=goal: sealed() >= goal, until)
        killed_at = sealed()
        assert 7000 <= killed_at < CHANGES
        seal_the_rest(database)
        assert sealed() == CHANGES
        [counts] = connection.execute(
            "SELECT count(DISTINCT resource), min(id), max(id) FROM audit_entries"
        ).fetchall()
        assert counts == (CHANGES, 1, CHANGES)
        [(uid,)] = connection.execute("SELECT uid::text FROM workspaces").fetchall()
    assert is_whole(database, uid)


def _kill_at(url: str, is_time: Callable[[], bool], until: Callable[..., bool]) -> None:
    with subprocess.Popen([sys.executable, "-c", _SEAL, url]) as process:
        try:
            assert until(is_time, 60)
        finally:
            process.send_signal(signal.SIGKILL)


def seal_the_rest(url: str) -> None:
    store = Store(Database(url, connections=1), Notifier(url))
    sealing.seal_all(store)
    store.notifier.close()
    store.database.close()


def is_whole(url: str, workspace: str) -> bool:
    database = Database(url, connections=1)
    id, previous = audit.anchor(database, workspace)
    while entries := audit.entries_after(database, workspace, id):
        for entry in entries:
            previous = audit.digest(workspace, previous, entry.id, entry.content)
            if (entry.id, entry.hash) != (id + 1, previous):
                return False
            id = entry.id
    database.close()
    return id == CHANGES


def test_servers_killed_under_load_leave_a_whole_chain(
    start_up: Callable[..., Any], until: Callable[..., bool]
) -> None:
    """One entry for each exception, whichever of them was acknowledged."""
    import os
    import threading

    import httpx

    stack = start_up("--port", "0", "--workers", "2")
    entries = f"{stack.rest}/api/v1/{stack.workspace}/auditEntries"
    over = threading.Event()

    def write() -> None:
        with httpx.Client(headers=stack.headers, timeout=30) as client:
            while not over.wait(0.02):
                try:
                    client.post(stack.exceptions, json=stack.new_exception("load"))
                except httpx.HTTPError:
                    continue

    writers = [threading.Thread(target=write) for _ in range(3)]
    for writer in writers:
        writer.start()
    for server in ("server-1.json", "server-2.json", "server-1.json"):
        over.wait(1.5)
        [pid] = [pid for pid in stack.children() if pid in stack.processes(server)]
        os.kill(pid, signal.SIGKILL)
        assert until(lambda: "2 of 2" in httpx.get(f"{stack.health}/readyz").text, 30)
    over.set()
    for writer in writers:
        writer.join()

    def verified() -> Any:
        return stack.http.post(f"{entries}:verify", json={}, timeout=60).json()

    assert until(lambda: verified()["unsealed_count"] == "0", 60)
    found, raised = verified(), stack.http.get(stack.exceptions, timeout=60).json()["total_size"]
    assert (found["done"], "broken_link" in found) == (True, False)
    assert int(found["verified_count"]) > raised > 10
    asked = {"filter": 'type = "exception.create"'}
    lines = stack.http.get(f"{entries}:export", params=asked, timeout=60).text.splitlines()
    assert len(lines) == raised
