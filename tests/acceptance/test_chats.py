"""Chats through Envoy, and in the terminal, with the worker at work."""

import json
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.acceptance.following import KINTSUGI, kintsugi
from tests.acceptance.test_cli_sessions import Until
from tests.acceptance.typing_in import Terminal

STEPS = "Add the missing total of the invoice by hand."
WORKER = " worker --ready-file"
QUESTION = "What do I do about an invoice whose total is missing?"


class Chats:
    """Calls by REST in a workspace of the test's own."""

    def __init__(self, http: httpx.Client, workspace: str) -> None:
        self.http = http
        self.workspace = workspace

    def begin(self, **fields: Any) -> Any:
        return self.post(f"{self.workspace}/agentSessions", kind="KIND_CHAT", **fields)

    def get(self, path: str, **parameters: Any) -> Any:
        answer = self.http.get(path, params=parameters)
        assert answer.is_success, answer.text
        return answer.json()

    def post(self, path: str, **body: Any) -> Any:
        answer = self.http.post(path, json=body)
        assert answer.is_success, answer.text
        return answer.json()

    def ask(self, chat: Any, question: str = QUESTION) -> Any:
        return self.post(f"{chat['name']}/events", user_message={"content": question})

    def answers(self, chat: Any) -> list[str]:
        """Oldest first."""
        listed = self.get(f"{chat['name']}/events", filter="kind = AGENT_MESSAGE", page_size=100)
        return [each["agent_message"]["content"] for each in reversed(listed["events"])]

    def learn(self) -> Any:
        """A guide entry in use."""
        made = self.post(
            f"{self.workspace}/automations/billing/guideEntries",
            title="Invoice without a total",
            resolution_steps=STEPS,
        )
        return self.post(f"{made['name']}:approve")

    @contextmanager
    def streamed(self, chat: Any) -> Iterator[Iterator[Any]]:
        with self.http.stream("GET", f"{chat['name']}/events:stream") as answer:
            messages = (json.loads(line) for line in answer.iter_lines())
            yield (message["event"] for message in messages if "event" in message)


@pytest.fixture
def chats(http: httpx.Client, workspace: str) -> Chats:
    return Chats(http, workspace)


def test_a_question_is_answered_in_the_stream(chats: Chats) -> None:
    entry = chats.learn()
    chat = chats.begin(title="Invoices", context={"systems": ["billing"]})
    assert (chat["state"], chat["kind"]) == ("STATE_ACTIVE", "KIND_CHAT")
    assert chat["context"] == {"systems": ["billing"]}
    with chats.streamed(chat) as events:
        chats.ask(chat)
        said = {}
        while "agent_message" not in said:
            said = next(events)
    assert STEPS in said["agent_message"]["content"]
    assert entry["name"] in said["agent_message"]["content"]


def test_what_is_not_known_is_said_plainly(chats: Chats, until: Until) -> None:
    chat = chats.begin()
    chats.ask(chat, "What is the weather like?")
    assert until(lambda: bool(chats.answers(chat)), 30)
    assert chats.answers(chat)[0].startswith("I know nothing about that")


def test_a_chat_is_listed_ended_and_then_answers_nothing(chats: Chats) -> None:
    chat = chats.begin(title="Invoices")
    matching = "kind = CHAT AND state = ACTIVE AND title = Invoices"
    listed = chats.get(f"{chats.workspace}/agentSessions", filter=matching)["agent_sessions"]
    assert [each["name"] for each in listed] == [chat["name"]]
    ended = chats.post(f"{chat['name']}:end", summary="it was the export", etag=chat["etag"])
    assert (ended["state"], ended["summary"]) == ("STATE_ENDED", "it was the export")
    message = {"user_message": {"content": QUESTION}}
    refused = chats.http.post(f"{chat['name']}/events", json=message)
    assert (refused.status_code, refused.json()["code"]) == (400, 9)
    assert "ENDED" in refused.json()["message"]
    again = chats.http.post(f"{chat['name']}:end", json={})
    assert (again.status_code, again.json()["code"]) == (400, 9)


def test_a_chat_has_no_actions(chats: Chats) -> None:
    chat = chats.begin()
    action = {"action": f"{chat['name']}/actions/x"}
    for verb, body in (
        ("propose", {}),
        ("execute", {"actions": [action]}),
        ("reject", {"actions": [action]}),
        ("cancel", {}),
    ):
        refused = chats.http.post(f"{chat['name']}:{verb}", json=body)
        assert (refused.status_code, refused.json()["code"]) == (400, 9), refused.text
        assert "is a chat" in refused.json()["message"]


def test_questions_are_answered_once_though_the_worker_is_killed(
    start_up: Callable[..., Any], until: Until
) -> None:
    stack = start_up("--port", "0", env={"KINTSUGI_LEASE_SECONDS": "1"})
    with httpx.Client(base_url=f"{stack.rest}/api/v1/", headers=stack.headers, timeout=30) as http:
        chats = Chats(http, stack.workspace)
        chat = chats.begin()
        for number in range(4):
            chats.ask(chat, f"What is the weather like on day {number}?")
            assert until(lambda: bool(stack.processes(WORKER)), 30)
            os.kill(stack.processes(WORKER)[0], signal.SIGKILL)
        assert until(lambda: len(chats.answers(chat)) >= 4, 60)
        chats.ask(chat, "And now?")
        assert until(lambda: len(chats.answers(chat)) > 4, 60)
        assert len(chats.answers(chat)) == 5


def test_what_is_typed_is_answered_in_the_terminal(
    stack: Any, tmp_path: Path, until: Until
) -> None:
    words = [KINTSUGI, "sessions", "chat", "--title", "Weather"]
    terminal = Terminal(words, stack.env, tmp_path)
    try:
        assert until(lambda: "> " in terminal.shown, 30)
        terminal.type("What is the weather like?\n")
        assert until(lambda: "I know nothing about that" in terminal.shown, 30)
        terminal.type("\x04")
        assert terminal.code() == 0
    finally:
        terminal.close()
    assert "to go on: " in terminal.shown


def test_an_answer_to_somebody_else_is_shown_with_who_asked(
    start_up: Callable[..., Any], tmp_path: Path, until: Until
) -> None:
    stack = start_up("--port", "0", "--workers", "1")
    with httpx.Client(base_url=f"{stack.rest}/api/v1/", headers=stack.headers, timeout=30) as http:
        chats = Chats(http, stack.workspace)
        chat = chats.begin()
        assert until(lambda: bool(stack.processes(WORKER)), 30)
        [worker] = stack.processes(WORKER)
        os.kill(worker, signal.SIGSTOP)
        chats.ask(chat, "What is the weather like?")
        terminal = Terminal([KINTSUGI, "sessions", "chat", chat["name"]], stack.env, tmp_path)
        try:
            assert until(lambda: "> " in terminal.shown, 30)
            terminal.type("Is it warm?\n")
            assert until(lambda: "What is the weather like?" in terminal.shown, 30), terminal.shown
            os.kill(worker, signal.SIGCONT)
            assert until(lambda: terminal.shown.count("I know nothing about that") == 2, 30)
            terminal.type("\x04")
            assert terminal.code() == 0
        finally:
            terminal.close()


def test_lines_of_a_pipe_are_answered_and_the_chat_gone_on_with(stack: Any) -> None:
    first = kintsugi(stack, "sessions", "chat", input="Is it warm?\nIs it cold?\n")
    assert first.returncode == 0, first.stderr
    assert first.stdout.count("I know nothing about that") == 2
    id = first.stderr.rstrip().rpartition(" ")[2]
    second = kintsugi(stack, "sessions", "chat", id, input="Is it wet?\n")
    assert second.stdout.count("I know nothing about that") == 1
    ended = kintsugi(stack, "sessions", "end", id, "--summary", "it was the weather")
    assert "ended" in ended.stdout
    shown = kintsugi(stack, "sessions", "show", id).stdout
    assert "it was the weather" in shown
    third = kintsugi(stack, "sessions", "chat", id, input="And now?\n")
    assert (third.returncode, "ENDED" in third.stderr) == (1, True)
