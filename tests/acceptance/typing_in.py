"""A command in a terminal of its own, into which a test types."""

import contextlib
import os
import pty
import re
import signal
import subprocess
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

_COLOUR = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class Terminal:
    """Runs until it ends or is closed. `shown` is all that stood in it, without colours."""

    def __init__(self, command: Sequence[str], env: Mapping[str, str], directory: Path) -> None:
        self._screen, inside = pty.openpty()
        self._shown = b""
        self.process = subprocess.Popen(
            command,
            env=dict(env) | {"COLUMNS": "200", "TERM": "xterm"},
            cwd=directory,
            stdin=inside,
            stdout=inside,
            stderr=inside,
            start_new_session=True,
        )
        os.close(inside)
        threading.Thread(target=self._read, daemon=True).start()

    @property
    def shown(self) -> str:
        text = self._shown.decode(errors="replace").replace("\r\n", "\n")
        return _COLOUR.sub("", text)

    def type(self, text: str) -> None:
        os.write(self._screen, text.encode())

    def code(self) -> int:
        return self.process.wait(60)

    def close(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def _read(self) -> None:
        # Linux answers the end of a terminal with an error.
        with contextlib.suppress(OSError):
            while data := os.read(self._screen, 65536):
                self._shown += data
