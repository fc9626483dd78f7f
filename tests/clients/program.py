"""A client's program while it runs."""

import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

PATIENCE = 60


class Program:
    """A started command with its output in a file."""

    def __init__(self, argv: Sequence[str], env: Mapping[str, str], output: Path) -> None:
        self._output = output
        with output.open("wb") as file:
            self._process = subprocess.Popen(argv, env=env, stdout=file, stderr=subprocess.STDOUT)

    @property
    def said(self) -> str:
        return self._output.read_text()

    @property
    def ended(self) -> bool:
        return self._process.poll() is not None

    def wait(self) -> int:
        """Its exit code."""
        return self._process.wait(PATIENCE)

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()
