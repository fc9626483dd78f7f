"""The README's first session, typed exactly as it stands there."""

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

REPOSITORY = Path(__file__).parents[2]
SESSION = (REPOSITORY / "README.md").read_text().split("## A first session")[1].split("\n## ")[0]
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
EXEC, TAIL, *COMMANDS = [text for kind, text in BLOCK.findall(SESSION) if kind == "sh"]
FAILED, FINISHED, FOLLOWED = [
    text.splitlines() for kind, text in BLOCK.findall(SESSION) if kind == "text"
]

Start = Callable[[str], "subprocess.Popen[bytes]"]


@pytest.fixture
def start(stack: Any, tmp_path: Path) -> Iterator[Start]:
    """Starts what a newcomer types, in a copy of the repository, against the shared service."""
    (tmp_path / ".venv").mkdir()
    (tmp_path / ".venv" / "bin").symlink_to(Path(sys.executable).parent)
    shutil.copytree(REPOSITORY / "examples", tmp_path / "examples")
    started: list[subprocess.Popen[bytes]] = []

    def start(commands: str) -> "subprocess.Popen[bytes]":
        text = commands.replace("127.0.0.1:8080", stack.edge)
        number = len(started)
        with (tmp_path / f"{number}.txt").open("wb") as output:
            process = subprocess.Popen(
                ["sh", "-ec", text],
                cwd=tmp_path,
                env=os.environ | stack.env,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        started.append(process)
        return process

    yield start
    for process in started:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def test_the_first_session_of_the_readme_works_as_it_is_typed(
    start: Start, tmp_path: Path, until: Callable[[Callable[[], bool], float], bool]
) -> None:
    job = start(EXEC)
    first = tmp_path / "0.txt"
    assert until(lambda: "waiting" in first.read_text() or job.poll() is not None, 60)
    shown = first.read_text()
    assert all(_without_number(line) in _without_number(shown) for line in FAILED), shown

    tail, second = start(TAIL), tmp_path / "1.txt"
    assert until(lambda: "Raised" in second.read_text() or tail.poll() is not None, 60)

    for number, commands in enumerate(COMMANDS, 2):
        code = start(commands).wait(60)
        answer = (tmp_path / f"{number}.txt").read_text()
        assert code == 0, answer
        assert "invoice 1003 of Initech has no total" in answer

    assert job.wait(60) == 0
    assert all(line in first.read_text() for line in FINISHED), first.read_text()

    assert until(lambda: "Drafted" in second.read_text(), 60)
    followed = [line[10:] for line in second.read_text().splitlines()[1:]]
    expected = [line[10:] for line in FOLLOWED if "…" not in line]
    assert [line for line in followed if line in expected] == expected, followed


def test_the_first_session_shows_rest_grpc_and_the_terminal() -> None:
    typed = "\n".join(COMMANDS)
    assert "curl -s -H" in typed
    assert "http://127.0.0.1:8080/api/v1/" in typed
    assert "grpcurl -plaintext" in typed
    assert "kintsugi exceptions resolve" in typed
    assert "kintsugi events tail" in TAIL


def _without_number(text: str) -> str:
    return re.sub(r"#\d+", "#", text)
