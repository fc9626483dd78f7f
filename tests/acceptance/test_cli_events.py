"""`kintsugi events …`: reading, writing and following a thread, in pipes and on a terminal."""

import json
import os
import pty
import signal
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.following import (
    KINTSUGI,
    Follower,
    done,
    kill,
    kintsugi,
    raise_one,
    start_again,
)

Until = Callable[[Callable[[], bool], float], bool]


@pytest.fixture
def run() -> str:
    return uuid.uuid4().hex


@pytest.fixture
def thread(run: str) -> str:
    return f"automations/cli/runs/{run}"


@pytest.fixture
def raised(stack: Any, run: str) -> str:
    """Id of an exception of the run."""
    return raise_one(stack, run)


Follow = Callable[..., Follower]


@pytest.fixture
def follow(stack: Any, tmp_path: Path) -> Iterator[Follow]:
    """Starts `kintsugi events tail …`."""
    started: list[Follower] = []
    directory = tmp_path / "followers"
    directory.mkdir()

    def start(*words: str, at: Any = stack) -> Follower:
        started.append(Follower(at, directory, "events", "tail", *words))
        return started[-1]

    yield start
    for one in started:
        one.stop()


def say(stack: Any, thread: str, *words: str) -> Any:
    return json.loads(done(stack, "events", "say", thread, *words, "--json"))


def texts(lines: str) -> list[str]:
    """What was said, of lines of JSON."""
    events = [json.loads(line) for line in lines.splitlines()]
    return [event["user_message"]["content"] for event in events if "user_message" in event]


def test_what_is_said_about_an_exception_is_listed_the_newest_last(
    stack: Any, raised: str, run: str
) -> None:
    name = done(stack, "events", "say", raised, "looking at it").strip()
    assert name.startswith(f"{stack.workspace}/automations/cli/runs/{run}/agents/kai/events/")
    done(stack, "events", "say", f"exceptions/{raised}", "found\nit")
    lines = done(stack, "events", "list", raised).splitlines()
    assert "KeyError: 'total'" in lines[1]
    assert [line[10:] for line in lines[2:]] == [
        "local     looking at it",
        "local     found",
        "          it",
    ]


def test_what_is_said_to_an_exception_is_about_it(stack: Any, raised: str, thread: str) -> None:
    about = say(stack, raised, "this one")
    assert about["exception"] == f"{stack.workspace}/exceptions/{raised}"
    assert about["user_message"] == {"user": "users/local", "content": "this one"}
    assert say(stack, thread, "any")["exception"] == ""
    assert texts(done(stack, "events", "list", raised, "--json")) == ["this one"]
    assert texts(done(stack, "events", "list", raised, "--all", "--json")) == ["this one", "any"]
    assert texts(done(stack, "events", "list", thread, "--json")) == ["this one", "any"]


def test_a_thread_is_found_by_every_form_of_its_name(stack: Any, thread: str) -> None:
    say(stack, thread, "to kai")
    say(stack, thread, "to ada", "--agent", "ada")
    full = f"{stack.workspace}/{thread}"
    for words, expected in [
        ((thread,), "to kai"),
        ((full,), "to kai"),
        ((f"{full}/agents/kai",), "to kai"),
        ((f"{thread}/agents/ada",), "to ada"),
        ((thread, "--agent", "ada"), "to ada"),
    ]:
        assert texts(done(stack, "events", "list", *words, "--json")) == [expected]


def test_as_many_as_asked_and_only_those_that_match_are_listed(stack: Any, raised: str) -> None:
    for number in range(5):
        say(stack, raised, str(number))
    matching = ("--filter", "kind = USER_MESSAGE OR kind = AGENT_MESSAGE")
    listed = kintsugi(stack, "events", "list", raised, "--limit", "3", "--json", *matching)
    assert texts(listed.stdout) == ["2", "3", "4"]
    assert "the last 3 of 5; more with --limit" in listed.stderr
    assert len(done(stack, "events", "list", raised, "--json", *matching).splitlines()) == 5


def test_files_and_standard_input_are_sent(stack: Any, raised: str, tmp_path: Path) -> None:
    file = tmp_path / "rows.csv"
    file.write_text("a,b\n")
    items = say(stack, raised, "see", "--file", str(file))["user_message"]["content_list"]["items"]
    inline = {"mime_type": "text/csv", "content": "YSxiCg==", "filename": "rows.csv"}
    assert items == [{"text": "see"}, {"file": {"inline": inline}}]
    assert "[file rows.csv: text/csv, 4 bytes]" in done(stack, "events", "list", raised)
    piped = kintsugi(stack, "events", "say", raised, "-", "--json", input="from\na pipe\n")
    assert json.loads(piped.stdout)["user_message"]["content"] == "from\na pipe"


def test_long_output_is_shortened_unless_all_is_asked_for(stack: Any, run: str) -> None:
    output = "\n".join(f"line {number}" for number in range(100))
    id = raise_one(stack, run, "broke", "--extra", f"output={output}")
    shown = done(stack, "events", "list", id)
    assert "--full shows them" in shown
    assert "line 99" in shown
    assert "line 50" not in shown
    assert "line 50" in done(stack, "events", "list", id, "--full")


def test_what_the_service_refuses_is_told_with_its_hint(
    stack: Any, raised: str, thread: str, tmp_path: Path
) -> None:
    large = tmp_path / "large"
    large.write_bytes(b"x" * (1024 * 1024 + 1))
    for words, hint in [
        (("list", "0193"), "0193"),
        (("list", thread, "--filter", "kindd = X"), "kindd"),
        (("tail", raised, "--filter", "kind ="), "filter"),
        (("tail", "0193"), "0193"),
        (("say", raised, "x" * 65537), "content"),
        (("say", raised, "--file", str(large)), "1 MiB"),
        (("say", "organizations/local/workspaces/nowhere/exceptions/1", "x"), "nowhere"),
    ]:
        refused = kintsugi(stack, "events", *words)
        assert refused.returncode == 1, words
        assert refused.stderr.startswith("Error: ")
        assert hint in refused.stderr
        assert "Traceback" not in refused.stderr


@pytest.mark.parametrize(
    "words",
    [
        ("list",),
        ("list", "runs/7"),
        ("tail", "automations/a/runs/1/agents/kai", "--agent", "kai"),
        ("tail", "automations/a/runs/1", "-n", "-1"),
        ("say", "automations/a/runs/1"),
        ("say", "automations/a/runs/1", "x", "--file", "/no/such/file"),
    ],
)
def test_wrong_use_is_told_with_code_2(stack: Any, words: tuple[str, ...]) -> None:
    refused = kintsugi(stack, "events", *words)
    assert refused.returncode == 2
    assert [line for line in refused.stderr.splitlines() if line.startswith("Error: ")]


def test_a_service_that_is_away_is_told_with_what_to_do() -> None:
    class Nobody:
        env = os.environ | {"KINTSUGI_SERVER": "127.0.0.1:1"}

    refused = kintsugi(Nobody, "events", "tail", "automations/a/runs/1")
    assert refused.returncode == 1
    assert "kintsugi up" in refused.stderr
    assert len(refused.stderr.splitlines()) == 1


def test_a_thread_is_followed_live(stack: Any, raised: str, follow: Follow, until: Until) -> None:
    tail = follow(raised)
    assert until(lambda: "KeyError: 'total'" in tail.shown, 30)
    for text in ("first", "second"):
        say(stack, raised, text)
        assert until(lambda text=text: text in tail.shown, 30)
    done(stack, "exceptions", "resolve", raised, "--note", "added it")
    assert until(lambda: "added it" in tail.shown, 30)
    assert [line[10:16] for line in tail.shown.splitlines()[2:5]] == ["local ", "local ", "system"]


def test_following_begins_where_it_is_told_to(
    stack: Any, thread: str, follow: Follow, until: Until
) -> None:
    for number in range(15):
        say(stack, thread, f"old {number}")
    expected = {
        (): [f"old {number}" for number in range(5, 15)],
        ("-n", "2"): ["old 13", "old 14"],
        ("-n", "0"): [],
        ("-n", "99"): [f"old {number}" for number in range(15)],
        ("--from-start",): [f"old {number}" for number in range(15)],
        ("-n", "1", "--filter", "kind = USER_MESSAGE"): ["old 14"],
    }
    tails = {words: follow(thread, "--json", *words) for words in expected}
    for words, tail in tails.items():
        assert until(lambda: len(texts(tail.shown)) == len(expected[words]), 30)  # noqa: B023
    until(lambda: False, 2)  # those that began with nothing are to have begun
    say(stack, thread, "new")
    for words, tail in tails.items():
        assert until(lambda: texts(tail.shown)[-1:] == ["new"], 30), words  # noqa: B023
        assert texts(tail.shown) == [*expected[words], "new"]


def test_an_empty_thread_can_be_followed(
    stack: Any, thread: str, follow: Follow, until: Until
) -> None:
    tail = follow(thread, "--json")
    assert not until(lambda: tail.process.poll() is not None, 2)
    say(stack, thread, "first")
    assert until(lambda: texts(tail.shown) == ["first"], 30)


def test_ctrl_c_ends_it_with_130(stack: Any, raised: str, follow: Follow, until: Until) -> None:
    tail = follow(raised)
    assert until(lambda: "Raised" in tail.shown, 30)
    tail.process.send_signal(signal.SIGINT)
    assert tail.process.wait(30) == 130
    assert tail.told.strip() == ""


def test_on_a_terminal_no_one_elses_control_characters_act(stack: Any, raised: str) -> None:
    say(stack, raised, "\x1b]0;gotcha\x07 end of it")
    child, terminal = pty.fork()
    if child == 0:
        env = stack.env | {"TERM": "xterm-256color"}
        os.execve(KINTSUGI, [KINTSUGI, "events", "tail", raised], env)
    shown = b""
    while b"end of it" not in shown:
        shown += os.read(terminal, 4096)
    os.write(terminal, b"\x03")
    _, status = os.waitpid(child, 0)
    os.close(terminal)
    assert os.waitstatus_to_exitcode(status) == 130
    assert b"\x1b[36m" in shown
    assert b"\x1b]0;" not in shown


def test_killed_servers_and_a_restart_of_everything_lose_and_repeat_nothing(
    start_up: Callable[..., Any], thread: str, follow: Follow, until: Until
) -> None:
    service = start_up("--port", "0", "--workers", "2")
    said: list[str] = []

    def say_some(at: Any) -> None:
        for _ in range(3):
            said.append(str(len(said)))
            say(at, thread, said[-1])

    tails = [follow(thread, "--from-start", "--json", at=service) for _ in range(4)]

    def complete() -> bool:
        return all(texts(tail.shown) == said for tail in tails)

    say_some(service)
    assert until(complete, 30)
    for server in ("server-1.json", "server-2.json"):
        kill(service, server, until)
        say_some(service)
        assert until(complete, 60), [tail.shown for tail in tails]
    service.stop()
    assert until(lambda: all("can't be reached" in tail.told for tail in tails), 60)
    again = start_again(start_up, service)
    say_some(again)
    assert until(complete, 60), [tail.shown for tail in tails]
    for tail in tails:
        lines = tail.told.splitlines()
        assert [line for line in lines if not line.startswith("kintsugi: ")] == []
        back = [line for line in lines if line == "kintsugi: the service is back"]
        assert lines[1::2] == back
        assert all(line.endswith("; still following") for line in lines[::2])
