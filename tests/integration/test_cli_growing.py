"""What an agent is writing, as `kintsugi events tail` shows it: growing, or whole."""

import json
import os
import pty
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from kintsugi.v1 import event_pb2 as pb

from server.domain.names import RunAgentName
from server.operations.event_writer import Generation, Generations
from server.store.connection import Database
from server.store.notifier import Notifier
from server.store.store import Store
from tests.identity import TOKEN
from tests.integration.client import Client
from tests.integration.waiting import until

KINTSUGI = str(Path(sys.executable).with_name("kintsugi"))
COLOUR = re.compile("\x1b\\[[0-9;]*m")
THREAD = RunAgentName("local", "default", "cli", "1", "kai")


@pytest.fixture
def begin(database: str) -> Iterator[Callable[[], Generation]]:
    """Begins an answer of the agent's."""
    connections, notifier = Database(database, connections=2), Notifier(database)
    generations = Generations(Store(connections, notifier))
    yield lambda: generations.begin(THREAD, pb.Event(agent_message=pb.AgentMessage()))
    generations.close()
    notifier.close()
    connections.close()


class Tail:
    """`kintsugi events tail` on a terminal, or in a pipe; `shown` is what it wrote so far."""

    def __init__(self, port: int, *words: str, terminal: bool) -> None:
        self._reading, writing = pty.openpty() if terminal else os.pipe()
        self.process = subprocess.Popen(
            [KINTSUGI, "events", "tail", str(THREAD), *words],
            env=os.environ | {"KINTSUGI_SERVER": f"127.0.0.1:{port}", "KINTSUGI_TOKEN": TOKEN},
            stdout=writing,
            stdin=subprocess.DEVNULL,
        )
        os.close(writing)
        self.shown = ""
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        try:
            while data := os.read(self._reading, 4096):
                self.shown += COLOUR.sub("", data.decode())
        except OSError:  # how a terminal's end reads
            pass

    def wait_for(self, text: str) -> None:
        until(lambda: text in self.shown, 30)


@pytest.fixture
def tail(client: Client) -> Iterator[Callable[..., Tail]]:
    started: list[Tail] = []

    def start(*words: str, terminal: bool = False) -> Tail:
        started.append(Tail(client.port, *words, terminal=terminal))
        return started[-1]

    yield start
    for one in started:
        one.process.kill()
        one.process.wait()


Begin = Callable[[], Generation]


def test_on_a_terminal_an_answer_grows_where_it_stands(
    begin: Begin, tail: Callable[..., Tail]
) -> None:
    with begin() as answer:
        shown = tail(terminal=True)
        for words, seen in (("It was", "kai       It was"), (" row 3,\n", " row 3,"), ("no", "no")):
            answer.append(words)
            shown.wait_for(seen)
        answer.append(" total.")
    shown.wait_for(" total.")
    until(lambda: shown.shown.endswith("\r\n"), 30)
    lines = shown.shown.splitlines()[1:]
    assert [line[10:] for line in lines] == ["kai       It was row 3,", "          no total."]


def test_in_a_pipe_an_answer_is_shown_when_it_is_whole(
    begin: Begin, tail: Callable[..., Tail]
) -> None:
    with begin() as answer:
        answer.append("It was")
        plain, json_, partial = tail(), tail("--json"), tail("--json", "--partial")
        partial.wait_for('"content": "It was"')
        answer.append(" row 3")
    for one in (plain, json_, partial):
        one.wait_for("It was row 3")
    assert plain.shown.splitlines()[1][10:] == "kai       It was row 3"
    assert states(json_) == ["STATE_COMPLETE"]
    assert states(partial)[:: len(states(partial)) - 1] == ["STATE_STREAMING", "STATE_COMPLETE"]


def test_an_answer_that_began_long_ago_is_not_missed(
    begin: Begin, tail: Callable[..., Tail]
) -> None:
    old = begin()
    for _ in range(5):
        begin().complete()
    shown = tail("-n", "2", "--json")
    until(lambda: len(states(shown)) == 2, 30)
    old.append("at last")
    old.complete()
    shown.wait_for("at last")
    assert states(shown) == ["STATE_COMPLETE"] * 3


def states(tail: Tail) -> list[str]:
    return [
        json.loads(line)["state"]
        for line in tail.shown.splitlines(keepends=True)
        if line.endswith("\n")
    ]
