"""What each of the clients is there for: finding an exception, following it, and resolving it.

The tests of each language run these.
"""

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx

from tests.clients.program import PATIENCE, Program

Start = Callable[..., Program]
Until = Callable[[Callable[[], bool], float], bool]


def finds_follows_and_resolves(start: Start, service: Any, until: Until) -> None:
    exception = raise_one(service)
    listed = start("list")
    assert listed.wait() == 0, listed.said
    [line] = [line for line in listed.said.splitlines() if exception["name"] in line]
    assert "KeyError: 'total'" in line

    follower = start("follow", exception["name"])
    wait_for("Raised", follower, until)
    say(service, exception, "the paper copy says 99.50")
    wait_for("users/local: the paper copy says 99.50", follower, until)

    resolving = start("resolve", exception["name"], "added the missing total")
    assert resolving.wait() == 0, resolving.said
    assert "resolved by users/local" in resolving.said
    assert follower.wait() == 0, follower.said
    assert follower.said.splitlines()[-1] == "it is resolved: added the missing total"
    assert now(service, exception)["state"] == "EXCEPTION_STATE_RESOLVED"
    assert now(service, exception)["resolution_note"] == "added the missing total"


def goes_on_where_the_server_was_killed(start: Start, service: Any, until: Until) -> None:
    exception = raise_one(service)
    follower = start("follow", exception["name"])
    wait_for("Raised", follower, until)

    with server_killed(service, until):
        wait_for("the stream broke off", follower, until)
    resolving = start("resolve", exception["name"], "it went on by itself")
    assert resolving.wait() == 0, resolving.said
    assert follower.wait() == 0, follower.said
    assert follower.said.splitlines()[-1] == "it is resolved: it went on by itself"
    assert follower.said.count("Raised") == 1


def says_why_it_fails(start: Start, service: Any) -> None:
    lost = start("resolve", f"{service.workspace}/exceptions/none", "a note")
    assert lost.wait() == 1
    assert "exceptions/none" in lost.said
    unknown = start("list", token="")
    assert unknown.wait() == 1
    assert "KINTSUGI_TOKEN" in unknown.said
    confused = start()
    assert confused.wait() == 1
    assert "usage:" in confused.said


def raise_one(service: Any) -> Any:
    """Again, while Envoy hasn't yet found a server that came back."""
    body, deadline = service.new_exception("clients"), time.monotonic() + PATIENCE
    while True:
        answer = service.http.post(service.exceptions, json=body, timeout=30)
        if answer.status_code != 503 or time.monotonic() > deadline:
            return answer.raise_for_status().json()
        time.sleep(0.1)


def say(service: Any, exception: Any, text: str) -> None:
    thread = f"{service.rest}/api/v1/{exception['run']}/agents/kai/events"
    body = {"user_message": {"content": text}}
    service.http.post(thread, json=body, timeout=30).raise_for_status()


def now(service: Any, exception: Any) -> Any:
    return service.http.get(f"{service.rest}/api/v1/{exception['name']}", timeout=30).json()


@contextmanager
def server_killed(service: Any, until: Until) -> Iterator[None]:
    """At first it is killed, in the end it is back."""
    restarts = service.output.read_text().count("is started again")
    [pid] = [pid for pid in service.children() if pid in service.processes("server-1.json")]
    os.kill(pid, signal.SIGKILL)
    yield
    assert until(lambda: service.output.read_text().count("is started again") > restarts, PATIENCE)
    assert until(lambda: "1 of 1" in httpx.get(f"{service.health}/readyz").text, PATIENCE)


def wait_for(text: str, program: Program, until: Until) -> None:
    assert until(lambda: text in program.said or program.ended, PATIENCE)
    assert text in program.said
