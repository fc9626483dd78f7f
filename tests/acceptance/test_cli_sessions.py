"""`kintsugi sessions …` and a waiting `kintsugi exec`: watched, approved, and run again."""

import json
import os
import signal
import sys
import uuid
from collections.abc import Callable, Iterator
from functools import cached_property
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.acceptance.following import KINTSUGI, Follower, done, kintsugi, raise_one, start_again
from tests.acceptance.typing_in import Terminal

Until = Callable[[Callable[[], bool], float], bool]

LATE = (
    "import pathlib, sys\n"
    "file = pathlib.Path(sys.argv[1])\n"
    "late = not file.exists()\n"
    "file.touch()\n"
    "sys.exit('No total' if late else print('done'))"
)
"""Works the second time."""

JOB = "import os, sys; sys.exit(print('done') if os.path.exists(sys.argv[1]) else 'No total')"

HELD = (
    "import pathlib, sys, time\n"
    "begun, let = map(pathlib.Path, sys.argv[1:])\n"
    "again = begun.exists()\n"
    "begun.touch()\n"
    "while again and not let.exists(): time.sleep(0.05)\n"
    "sys.exit(None if again else 'No total')"
)
"""Runs as long as it is held the second time."""


class Failed:
    """A `kintsugi exec` that waits, as its job needs a file that isn't there."""

    def __init__(self, stack: Any, directory: Path, automation: str, *flags: str) -> None:
        self.stack = stack
        self.file = directory / f"{uuid.uuid4().hex}.total"
        self.run = uuid.uuid4().hex
        job = (sys.executable, "-c", JOB, str(self.file))
        words = ("--automation", automation, "--run", self.run, *flags, "--", *job)
        self.exec = Follower(stack, directory, "exec", *words)

    @cached_property
    def id(self) -> str:
        matching = f"run = {self.run}"
        return done(self.stack, "exceptions", "list", "--ids", "--filter", matching).strip()

    def session(self) -> Any:
        return newest_session(self.stack, self.id)

    def is_waiting(self) -> bool:
        return "waiting" in self.exec.told

    def mend(self) -> None:
        self.file.touch()


def newest_session(stack: Any, exception: str) -> Any:
    """Over REST, as it is asked for again and again, and a command takes a process."""
    parameters = {"filter": f'exception = "{exception}"', "page_size": 1}
    base = f"{stack.rest}/api/v1"
    listed = stack.http.get(f"{base}/{stack.workspace}/agentSessions", params=parameters).json()
    return stack.http.get(f"{base}/{listed['agent_sessions'][0]['name']}").json()


Fail = Callable[..., Failed]


@pytest.fixture
def automation() -> str:
    return f"a-{uuid.uuid4().hex[:8]}"


@pytest.fixture
def fail(stack: Any, tmp_path: Path, automation: str, until: Until) -> Iterator[Fail]:
    """Starts a job that fails, and waits until its exec waits."""
    directory = tmp_path / "jobs"
    directory.mkdir()
    started: list[Failed] = []

    def start(*flags: str, at: Any = stack) -> Failed:
        started.append(Failed(at, directory, automation, *flags))
        assert until(started[-1].is_waiting, 60), started[-1].exec.told
        return started[-1]

    yield start
    for one in started:
        one.exec.stop()


@pytest.fixture
def watch(stack: Any, tmp_path: Path) -> Iterator[Callable[..., Terminal]]:
    """Types `kintsugi sessions …` in a terminal of its own."""
    opened: list[Terminal] = []

    def start(*words: str, at: Any = stack) -> Terminal:
        opened.append(Terminal([KINTSUGI, "sessions", *words], at.env, tmp_path))
        return opened[-1]

    yield start
    for one in opened:
        one.close()


def ready(failed: Failed, until: Until) -> Any:
    """The session of a failed job once it waits for approval."""
    done(failed.stack, "sessions", "start", failed.id)
    assert until(lambda: failed.session()["state"].endswith("CONFIRMATION"), 60), failed.session()
    return failed.session()


def exception(failed: Failed) -> Any:
    return json.loads(done(failed.stack, "exceptions", "get", failed.id, "--json"))


# In a terminal


def test_an_approval_in_the_terminal_runs_the_job_again_and_resolves(
    fail: Fail, watch: Callable[..., Terminal], until: Until
) -> None:
    failed = fail()
    watched = watch("start", failed.id, "--watch")
    assert until(lambda: "Approve action" in watched.shown, 60), watched.shown
    assert "retry_run" in watched.shown
    assert "LOW" in watched.shown
    failed.mend()
    watched.type("y\n")
    assert until(lambda: "Note" in watched.shown, 60)
    watched.type("added the total\n")
    assert watched.code() == 0, watched.shown
    assert "COMPLETED" in watched.shown
    assert failed.exec.process.wait(60) == 0
    assert failed.exec.shown == "done\n"
    assert "as approved by users/local" in failed.exec.told
    assert "resolved by agents/resolution_agent: added the total" in failed.exec.told
    resolved = exception(failed)
    assert resolved["state"] == "EXCEPTION_STATE_RESOLVED"
    assert resolved["resolution_note"] == "added the total"


def test_a_no_in_the_terminal_ends_the_session_and_nothing_is_run(
    fail: Fail, watch: Callable[..., Terminal], until: Until
) -> None:
    failed = fail()
    watched = watch("start", failed.id, "--watch")
    assert until(lambda: "Approve action" in watched.shown, 60), watched.shown
    watched.type("n\n")
    assert watched.code() == 0, watched.shown
    assert {each["state"] for each in failed.session()["actions"]} == {"STATE_REJECTED"}
    assert exception(failed)["state"] == "EXCEPTION_STATE_PENDING"
    assert failed.exec.process.poll() is None


def test_who_may_not_approve_is_told_once_and_watches_on(
    fail: Fail, watch: Callable[..., Terminal], until: Until
) -> None:
    failed = fail()
    session = ready(failed, until)
    token = done(failed.stack, "tokens", "create", "--role", "responder", "--title", "w").strip()
    responder = SimpleNamespace(env=failed.stack.env | {"KINTSUGI_TOKEN": token})
    watched = watch("start", failed.id, "--watch", at=responder)
    assert until(lambda: "Approve action" in watched.shown, 60), watched.shown
    assert "n: reject all, which ends the session" in watched.shown
    watched.type("y\n\n")
    assert until(lambda: "execute_agent_remediation" in watched.shown, 60), watched.shown
    failed.mend()
    done(failed.stack, "sessions", "approve", session["name"])
    assert watched.code() == 0, watched.shown
    assert watched.shown.count("Approve action") == 1
    assert watched.shown.count("Completed.") == 1
    assert "ended" in done(failed.stack, "sessions", "show", failed.id)


def test_a_job_that_fails_again_is_proposed_anew(
    fail: Fail, watch: Callable[..., Terminal], until: Until
) -> None:
    failed = fail()
    watched = watch("start", failed.id, "--watch")
    assert until(lambda: watched.shown.count("Approve action") == 1, 60), watched.shown
    watched.type("y\n\n")
    assert until(lambda: watched.shown.count("Approve action") == 2, 60), watched.shown
    failed.mend()
    watched.type("y\n\n")
    assert watched.code() == 0, watched.shown
    assert failed.exec.process.wait(60) == 0
    states = [each["state"] for each in failed.session()["actions"]]
    assert states.count("STATE_FAILED") == 1
    assert states.count("STATE_SUCCEEDED") == 1
    listed = done(failed.stack, "exceptions", "list", "--ids", "--filter", f"run = {failed.run}")
    assert listed.split() == [failed.id]


# In pipes


def test_a_session_is_approved_by_command(fail: Fail, until: Until, tmp_path: Path) -> None:
    failed = fail()
    session = ready(failed, until)
    directory = tmp_path / "watchers"
    directory.mkdir()
    watched = Follower(failed.stack, directory, "sessions", "watch", failed.id)
    assert until(lambda: "to approve:" in watched.told, 60), watched.told
    failed.mend()
    id = session["name"].rpartition("/")[2]
    approved = done(failed.stack, "sessions", "approve", id, "--note", "added it")
    assert "retry_run" in approved
    assert watched.process.wait(60) == 0
    assert "COMPLETED" in watched.shown
    assert failed.exec.process.wait(60) == 0


def test_a_session_is_found_by_its_names_and_by_its_exception(stack: Any, automation: str) -> None:
    exception = raise_one(stack, automation)
    made = json.loads(done(stack, "sessions", "start", exception, "--json"))
    id = made["name"].rpartition("/")[2]
    for word in (id, f"agentSessions/{id}", made["name"], exception, f"exceptions/{exception}"):
        assert json.loads(done(stack, "sessions", "show", word, "--json"))["name"] == made["name"]
    matching = f'exception = "{exception}"'
    assert done(stack, "sessions", "list", "--ids", "--filter", matching).split() == [id]
    assert id in done(stack, "sessions", "list", "--filter", matching)
    again = kintsugi(stack, "sessions", "start", exception)
    assert again.returncode == 1
    assert id in again.stderr


def test_a_session_is_cancelled(stack: Any, automation: str) -> None:
    exception = raise_one(stack, automation)
    done(stack, "sessions", "start", exception)
    assert "cancelled" in done(stack, "sessions", "cancel", exception, "--reason", "not now")
    assert kintsugi(stack, "sessions", "watch", exception).returncode == 1
    refused = kintsugi(stack, "sessions", "cancel", exception)
    assert (refused.returncode, "CANCELLED" in refused.stderr) == (1, True)


def test_actions_are_rejected_by_number(fail: Fail, until: Until) -> None:
    failed = fail()
    session = ready(failed, until)
    numbers = [str(number) for number, _ in enumerate(session["actions"], 1)]
    assert "rejected" in done(failed.stack, "sessions", "reject", failed.id, *numbers)
    assert {each["state"] for each in failed.session()["actions"]} == {"STATE_REJECTED"}


def test_nothing_is_approved_where_people_do_it(stack: Any, automation: str, until: Until) -> None:
    exception = raise_one(stack, automation)
    done(stack, "sessions", "start", exception)

    waits = "STATE_AWAITING_CONFIRMATION"
    assert until(lambda: newest_session(stack, exception)["state"] == waits, 60)
    refused = kintsugi(stack, "sessions", "approve", exception)
    assert refused.returncode == 1
    assert "nothing to approve" in refused.stderr


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("show", "0193"), 1),
        (("show", "a/b"), 2),
        (("start", "0193"), 1),
        (("approve", "0193"), 1),
        (("list", "--limit", "0"), 2),
        (("list", "--filter", "stat = FAILED"), 1),
    ],
)
def test_wrong_use_is_told(stack: Any, words: tuple[str, ...], code: int) -> None:
    refused = kintsugi(stack, "sessions", *words)
    assert refused.returncode == code
    assert [line for line in refused.stderr.splitlines() if line.startswith("Error: ")]


# Trouble


def test_a_killed_exec_leaves_the_action_unknown_or_failed_and_asks_again(
    fail: Fail, until: Until
) -> None:
    failed = fail()
    ready(failed, until)
    os.kill(failed.exec.process.pid, signal.SIGKILL)
    done(failed.stack, "sessions", "approve", failed.id)
    assert until(lambda: "nobody waits" in json.dumps(failed.session()), 90), failed.session()
    assert failed.session()["state"] == "STATE_AWAITING_CONFIRMATION"


def test_a_job_whose_session_is_cancelled_while_it_runs_again_says_so_and_waits_on(
    stack: Any, tmp_path: Path, automation: str, until: Until
) -> None:
    directory, run = tmp_path / "jobs", uuid.uuid4().hex
    directory.mkdir()
    begun, let = tmp_path / "begun", tmp_path / "let"
    job = (sys.executable, "-c", HELD, str(begun), str(let))
    words = ("--automation", automation, "--run", run, "--", *job)
    exec = Follower(stack, directory, "exec", *words)
    try:
        assert until(lambda: "waiting" in exec.told, 60), exec.told
        id = done(stack, "exceptions", "list", "--ids", "--filter", f"run = {run}").strip()
        done(stack, "sessions", "start", id)
        assert until(lambda: newest_session(stack, id)["state"].endswith("CONFIRMATION"), 60)
        done(stack, "sessions", "approve", id)
        assert until(lambda: "running it again" in exec.told, 60), exec.told
        done(stack, "sessions", "cancel", id, "--reason", "not now")
        let.touch()
        assert until(
            lambda: (
                "cancelled it: not now), so that this resolves nothing; waiting on" in exec.told
            ),
            20,
        ), exec.told
        assert exec.process.poll() is None
        done(stack, "exceptions", "resolve", id)
        assert exec.process.wait(60) == 0
    finally:
        exec.stop()


def test_a_resolution_by_a_person_runs_the_job_again_as_ever(fail: Fail, until: Until) -> None:
    failed = fail()
    ready(failed, until)
    failed.mend()
    done(failed.stack, "exceptions", "resolve", failed.id, "--note", "by hand")
    assert failed.exec.process.wait(60) == 0
    assert "by hand; running it again" in failed.exec.told
    assert until(lambda: failed.session()["state"] == "STATE_CANCELLED", 60)


def test_a_watched_session_goes_on_when_the_service_is_back(
    fail: Fail, watch: Callable[..., Terminal], start_up: Any, until: Until
) -> None:
    service = start_up("--port", "0", "--workers", "1")
    failed = fail(at=service)
    watched = watch("start", failed.id, "--watch", at=service)
    assert until(lambda: "Approve action" in watched.shown, 60), watched.shown
    service.stop()
    again = start_again(start_up, service)
    failed.stack = again
    failed.mend()
    watched.type("y\n\n" * 20)  # it asks again as long as it doesn't reach the service
    assert watched.code() == 0, watched.shown
    assert failed.exec.process.wait(60) == 0


# Learned


def test_what_was_learned_resolves_the_next_one_by_itself(
    stack: Any, fail: Fail, automation: str, until: Until
) -> None:
    failed = fail()
    ready(failed, until)
    failed.mend()
    done(stack, "sessions", "approve", failed.id, "--note", "it comes late")
    assert failed.exec.process.wait(60) == 0
    (guide,) = done(stack, "guides", "list", "--automation", automation, "--ids").split()
    approved = done(stack, "guides", "approve", guide, "--self-resolving", "--json")
    entry = json.loads(approved)
    assert (entry["action_type"], entry["self_resolving"]) == ("retry_run", True)
    assert entry["state"] == "STATE_APPROVED"
    job = (sys.executable, "-c", LATE, str(failed.file.with_suffix(".late")))
    words = ("--automation", automation, "--", *job)
    again = Follower(stack, failed.file.parent, "exec", *words)
    assert again.process.wait(60) == 0, again.told
    assert "as approved by policies/guide_entry" in again.told
