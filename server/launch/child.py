"""Child processes that never outlive their parent, and what they last wrote when they fail.

Which programs there are, and what is done when one of them dies, is decided elsewhere.
"""

import ctypes
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field
from pathlib import Path

from server.launch.interruption import pause

# gRPC would start threads in every child, and a process with threads gets no user namespace.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")

_LOG_BYTES = 10 * 1024 * 1024
_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)

Enter = Callable[[], None]
"""What a child does with itself, as the account that it runs under, before it runs its program."""


class CannotStart(Exception):
    """Tells the user in one line what can't be started, why, and what to do about it."""


@dataclass(eq=False)
class Child:
    """One program, started from the main thread: it is killed when the thread that did it ends."""

    name: str
    argv: Sequence[str]
    log: Path
    _: KW_ONLY
    env: Mapping[str, str] | None = None
    dies_with: signal.Signals = signal.SIGKILL
    enter: Enter | None = None
    core: int | None = None
    _process: subprocess.Popen[bytes] | None = field(default=None, init=False)
    _log_start: int = field(default=0, init=False)

    def start(self) -> None:
        """Starts the program, for the first time or again; its output is added to the log."""
        with self.log.open("ab") as output:
            self._log_start = output.tell()
            self._process = subprocess.Popen(  # noqa: S603
                self.argv,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=self.env,
                start_new_session=True,  # Ctrl-C in the terminal is for the parent alone
                preexec_fn=self._settler(),  # noqa: PLW1509 (calls nothing that takes a lock)
            )

    def _settler(self) -> Enter:
        parent, enter, core, dies_with = os.getpid(), self.enter, self.core, self.dies_with

        def settle() -> None:
            if enter is not None:
                enter()
            if core is not None:
                os.sched_setaffinity(0, {core})
            if sys.platform == "linux":  # after `enter`: changing the user clears it
                _libc.prctl(_PR_SET_PDEATHSIG, int(dies_with))
                if os.getppid() != parent:
                    os._exit(1)

        return settle

    @property
    def pid(self) -> int | None:
        """The process, or the one that was; None before the first start."""
        return self._process.pid if self._process else None

    @property
    def alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def send(self, signum: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(signum)

    def wait(self, seconds: float) -> bool:
        """Whether it ended within the time; a child that was never started has ended."""
        try:
            if self._process is not None:
                self._process.wait(max(seconds, 0))
        except subprocess.TimeoutExpired:
            return False
        return True

    def run(self) -> int:
        """Runs the program to its end, gives its exit code; kills it if we are to stop."""
        self.start()
        try:
            while self.alive:
                pause(0.02)
        finally:
            self.send(signal.SIGKILL)
        return self.code or 0

    @property
    def code(self) -> int | None:
        """Its exit code, negative for a signal; None while it runs."""
        return self._process.poll() if self._process else None

    def end(self) -> str:
        """How it ended, for people: `exited with 1`, `was killed by SIGKILL`."""
        code = self.code
        if code is not None and code < 0:
            return f"was killed by {signal.Signals(-code).name}"
        return f"exited with {code}" if code is not None else "is running"

    def last_words(self, lines: int = 8) -> list[str]:
        """The last lines that it wrote since it was started, without empty ones."""
        with self.log.open("rb") as log:
            log.seek(max(self._log_start, log.seek(0, os.SEEK_END) - 16384))
            text = log.read().decode(errors="replace")
        return [line for line in text.splitlines() if line.strip()][-lines:]


def stop(children: Sequence[Child], steps: Sequence[tuple[signal.Signals, float]]) -> None:
    """Sends each signal in turn to the children that still live, and gives them its seconds."""
    for signum, seconds in steps:
        for child in children:
            child.send(signum)
        deadline = time.monotonic() + seconds
        if all(child.wait(deadline - time.monotonic()) for child in children):
            return


def rotate(log: Path) -> None:
    """Puts what a log of more than 10 MB holds aside as `NAME.1`, in place of what was there.

    The log is emptied and not renamed: the process that writes it goes on at its end.
    """
    if log.exists() and log.stat().st_size > _LOG_BYTES:
        shutil.copyfile(log, log.with_name(log.name + ".1"))
        os.truncate(log, 0)
