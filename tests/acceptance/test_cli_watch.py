"""`kintsugi exceptions watch`: what happens to exceptions, live, even past the service's end."""

import json
import os
import signal
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.following import Follower, done, kill, kintsugi, raise_one, start_again

Until = Callable[[Callable[[], bool], float], bool]
Watch = Callable[..., Follower]

NEW = ("ADDED", "MODIFIED")
"""What happens to an exception until a worker has described it."""


@pytest.fixture
def run() -> str:
    return uuid.uuid4().hex


@pytest.fixture
def watch(stack: Any, tmp_path: Path, until: Until) -> Iterator[Watch]:
    """Starts `kintsugi exceptions watch …`; it sees what is raised after this."""
    started: list[Follower] = []
    directory = tmp_path / "followers"
    directory.mkdir()

    def start(*words: str, at: Any = stack) -> Follower:
        one = Follower(at, directory, "exceptions", "watch", *words)
        started.append(one)
        assert until(lambda: "watching" in one.told or one.process.poll() is not None, 30)
        return one

    yield start
    for one in started:
        one.stop()


def changes(watched: Follower, run: str) -> list[tuple[str, str]]:
    """What happened to the exceptions of a run, as lines of JSON say it."""
    found = [json.loads(line) for line in watched.shown.splitlines()]
    return [
        (one["change"].removeprefix("CHANGE_"), one["exception"]["message"])
        for one in found
        if one["exception"]["run"].endswith(run)
    ]


def test_changes_are_shown_as_they_happen(stack: Any, run: str, watch: Watch, until: Until) -> None:
    watched = watch("--filter", f"run = {run}")
    id = raise_one(stack, run, "broke\nin two")
    assert until(lambda: "added    PENDING   cli  broke in two" in watched.shown, 30)
    changed = "changed  PENDING   cli  broke in two"
    assert until(lambda: watched.shown.count(changed) == 1, 30)  # it is described
    done(stack, "exceptions", "assign", id, "ada")
    assert until(lambda: watched.shown.count(changed) == 2, 30)
    done(stack, "exceptions", "resolve", id)
    assert until(lambda: "changed  RESOLVED  cli  broke in two" in watched.shown, 30)
    assert len(watched.shown.splitlines()) == 5
    assert "\x1b" not in watched.shown


def test_what_stops_matching_is_gone_and_may_come_back(
    stack: Any, run: str, watch: Watch, until: Until
) -> None:
    watched = watch("--json", "--filter", f"state = PENDING AND run = {run}")
    id = raise_one(stack, run, "m")
    done(stack, "exceptions", "archive", id)
    done(stack, "exceptions", "unarchive", id)
    expected = [*NEW, "REMOVED", "ADDED"]
    assert until(lambda: changes(watched, run) == [(each, "m") for each in expected], 30), (
        watched.shown
    )


def test_a_line_of_json_has_the_cursor_to_go_on_from(
    stack: Any, run: str, watch: Watch, until: Until
) -> None:
    watched = watch("--json", "--filter", f"run = {run}")
    for message in ("1", "2"):
        raise_one(stack, run, message)
    assert until(lambda: len(changes(watched, run)) == 4, 30)
    cursor = json.loads(watched.shown.splitlines()[1])["cursor"]
    later = watch("--json", "--after", cursor)
    assert until(lambda: changes(later, run) == [(each, "2") for each in NEW], 30)


def test_what_the_service_refuses_is_told_with_its_hint(stack: Any) -> None:
    for words, hint in [
        (("--filter", "stat = PENDING"), "did you mean"),
        (("--after", "nonsense"), "after"),
    ]:
        refused = kintsugi(stack, "exceptions", "watch", *words)
        assert refused.returncode == 1
        assert refused.stderr.startswith("Error: ")
        assert hint in refused.stderr


def test_a_service_that_is_away_is_told_with_what_to_do() -> None:
    class Nobody:
        env = os.environ | {"KINTSUGI_SERVER": "127.0.0.1:1"}

    refused = kintsugi(Nobody, "exceptions", "watch")
    assert refused.returncode == 1
    assert "kintsugi up" in refused.stderr
    assert len(refused.stderr.splitlines()) == 1


def test_ctrl_c_ends_it_with_130(watch: Watch) -> None:
    watched = watch()
    watched.process.send_signal(signal.SIGINT)
    assert watched.process.wait(30) == 130
    assert "Traceback" not in watched.told


def test_killed_servers_and_a_restart_of_everything_lose_and_repeat_nothing(
    start_up: Callable[..., Any], run: str, watch: Watch, until: Until
) -> None:
    service = start_up("--port", "0", "--workers", "2")
    watchers = [watch("--json", at=service) for _ in range(4)]
    expected: list[tuple[str, str]] = []

    def raise_some(at: Any) -> None:
        for _ in range(2):
            message = str(len(expected))
            expected.extend((each, message) for each in NEW)
            raise_one(at, run, message)

    def complete() -> bool:
        return all(changes(watched, run) == expected for watched in watchers)

    for server in ("server-1.json", "server-2.json"):
        kill(service, server, until)
        raise_some(service)
        assert until(complete, 60), [watched.shown for watched in watchers]
    service.stop()
    assert until(lambda: all("can't be reached" in one.told for one in watchers), 60)
    again = start_again(start_up, service)
    raise_some(again)
    assert until(complete, 60), [watched.shown for watched in watchers]
