"""The directory that a `kintsugi up` keeps everything in, and its claim to be the only one there.

PostgreSQL's files in it are made by PostgreSQL.
"""

import fcntl
import os
import shutil
import time
from pathlib import Path
from typing import TextIO

from server.launch.child import CannotStart


class DataDirectory:
    """`token` is the owner's. `log` is kept between starts, `run` and what is in it made anew."""

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        self.log = self.path / "log"
        self.run = self.path / "run"
        self.metrics = self.run / "metrics"
        self.addresses = self.run / "addresses.json"
        self.token = self.path / "token"
        self._lock_file = self.path / "lock"
        self._lock: TextIO | None = None

    @property
    def is_left(self) -> bool:
        """Whether somebody had it, and nobody has now."""
        try:
            with self._lock_file.open() as lock:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:
            return False
        return True

    def take(self) -> None:
        """Makes it where it is missing. It is ours until we end, however we end."""
        try:
            self.path.mkdir(mode=0o711, parents=True, exist_ok=True)
            self._take_lock()
            shutil.rmtree(self.run, ignore_errors=True)
            for directory in (self.log, self.run, self.metrics):
                directory.mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            raise CannotStart(
                f"can't write to {self.path} ({error.strerror}): choose another --data-dir"
            ) from None

    def _take_lock(self) -> None:
        self._lock = self._lock_file.open("a+")
        if not _locked(self._lock):
            self._lock.seek(0)
            raise CannotStart(
                f"another kintsugi up (process {self._lock.read().strip() or 'unknown'}) runs on "
                f"{self.path}: stop it, or choose another --data-dir"
            )
        self._lock.truncate(0)
        self._lock.write(f"{os.getpid()}\n")
        self._lock.flush()


def _locked(file: TextIO) -> bool:
    """Tries it for a moment: `is_left` has it now and then."""
    for _ in range(5):
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(0.02)
        else:
            return True
    return False
