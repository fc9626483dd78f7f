"""A `kintsugi` command that follows something, in a process of its own, with its lines in files."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx

KINTSUGI = str(Path(sys.executable).with_name("kintsugi"))


class Follower:
    """Runs until it is stopped. `shown` is what it wrote to stdout, `told` to stderr."""

    def __init__(self, stack: Any, directory: Path, *words: str) -> None:
        number = len(list(directory.iterdir()))
        self._out, self._err = directory / f"{number}.out", directory / f"{number}.err"
        with self._out.open("wb") as out, self._err.open("wb") as err:
            self.process = subprocess.Popen(
                [KINTSUGI, *words],
                env=stack.env,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
            )

    @property
    def shown(self) -> str:
        return self._out.read_text()

    @property
    def told(self) -> str:
        return self._err.read_text()

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()


def kintsugi(
    stack: Any, *words: str, input: str | None = None
) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [KINTSUGI, *words],
        env=stack.env,
        input=input,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def done(stack: Any, *words: str) -> str:
    """What a command that has to succeed answered."""
    answer = kintsugi(stack, *words)
    assert answer.returncode == 0, answer.stderr
    return answer.stdout


def raise_one(stack: Any, run: str, message: str = "KeyError: 'total'", *words: str) -> str:
    """The id of a new exception, which a worker has described."""
    words = ("--automation", "cli", "--run", run, "--message", message, *words)
    name = json.loads(done(stack, "exceptions", "create", *words, "--json"))["name"]
    return str(stack.described(name)["name"]).rpartition("/")[2]


def kill(stack: Any, server: str, until: Callable[[Callable[[], bool], float], bool]) -> None:
    """Kills one of two server processes, both of which serve, and waits until calls succeed."""
    assert until(lambda: "2 of 2" in httpx.get(f"{stack.health}/readyz", timeout=30).text, 60)
    (pid,) = [pid for pid in stack.children() if pid in stack.processes(server)]
    os.kill(pid, signal.SIGKILL)
    look = ("exceptions", "list", "--limit", "1")
    assert until(lambda: kintsugi(stack, *look).returncode == 0, 60)


def start_again(start_up: Callable[..., Any], stack: Any) -> Any:
    """A stopped stack on its port and its data."""
    port = stack.edge.rpartition(":")[2]
    free = [word for name in ("grpc", "health", "metrics") for word in (f"--{name}-port", "0")]
    return start_up("--port", port, *free, "--workers", "1", data_dir=stack.data_dir)
