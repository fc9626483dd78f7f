"""The README's first session, typed exactly as it stands there."""

import re
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.typing_in import Terminal

REPOSITORY = Path(__file__).parents[2]
SESSION = (REPOSITORY / "README.md").read_text().split("## A first session")[1].split("\n## ")[0]
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
EXEC, WATCH, *COMMANDS, APPROVE, AGAIN = [
    text for kind, text in BLOCK.findall(SESSION) if kind == "sh"
]
FAILED, WATCHED, ANSWERED, FINISHED, RESOLVED = [
    text.splitlines() for kind, text in BLOCK.findall(SESSION) if kind == "text"
]
ANSWERS = [line.rpartition(": ")[2] for line in ANSWERED]

Start = Callable[[str], Terminal]


@pytest.fixture
def start(start_up: Callable[..., Any], tmp_path: Path) -> Iterator[Start]:
    """Types what a newcomer types, in a copy of the repository, each in a terminal of its own,
    against a service that knows nothing yet."""
    stack = start_up("--port", "0", "--workers", "1")
    (tmp_path / ".venv").mkdir()
    (tmp_path / ".venv" / "bin").symlink_to(Path(sys.executable).parent)
    shutil.copytree(REPOSITORY / "examples", tmp_path / "examples")
    opened: list[Terminal] = []

    def start(commands: str) -> Terminal:
        text = commands.replace("127.0.0.1:8080", stack.edge)
        opened.append(Terminal(["sh", "-ec", text], stack.env, tmp_path))
        return opened[-1]

    yield start
    for one in opened:
        one.close()


def test_the_first_session_of_the_readme_works_as_it_is_typed(
    start: Start, until: Callable[[Callable[[], bool], float], bool]
) -> None:
    job = start(EXEC)
    assert until(lambda: "waiting" in job.shown or job.process.poll() is not None, 60)
    assert_shows(job, FAILED)

    watched = start(WATCH)
    assert until(lambda: WATCHED[-1] in watched.shown, 60), watched.shown
    assert_shows(watched, WATCHED)

    for commands in COMMANDS:
        typed = start(commands)
        assert typed.code() == 0, typed.shown
        assert commands.startswith("sed") or "invoice 1003 of Initech has no total" in typed.shown

    for question, answer in zip(ANSWERED, ANSWERS, strict=True):
        asked = question.removesuffix(answer)
        assert until(lambda asked=asked: asked in watched.shown, 60), watched.shown  # type: ignore[misc]
        watched.type(f"{answer}\n")
    assert job.code() == 0, job.shown
    assert_shows(job, FINISHED)
    assert watched.code() == 0, watched.shown

    approved = start(APPROVE)
    assert approved.code() == 0, approved.shown
    assert ANSWERS[-1] in approved.shown
    again = start(AGAIN)
    assert again.code() == 0, again.shown
    assert_shows(again, RESOLVED)


def assert_shows(terminal: Terminal, lines: list[str]) -> None:
    """That the lines stand in it in this order; times, numbers, and what `…` stands for, may be
    any."""
    shown, at = terminal.shown, 0
    for part in re.split(r"#\d+|\d\d:\d\d:\d\d|…|\n", "\n".join(lines)):
        assert (at := shown.find(part, at) + len(part)) >= len(part), (part, shown)


def test_the_first_session_shows_rest_grpc_and_the_terminal() -> None:
    typed = "\n".join(COMMANDS)
    assert "curl -s -H" in typed
    assert "http://127.0.0.1:8080/api/v1/" in typed
    assert "grpcurl -plaintext" in typed
    assert "kintsugi exceptions get" in typed
    assert "kintsugi sessions start" in WATCH
    assert "kintsugi guides approve" in APPROVE
