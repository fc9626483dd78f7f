"""A core of its own for each server process, where one is free, and how many cores there are.

A core is taken by locking a file, so that several Kintsugis on a machine don't share one.
"""

import fcntl
import math
import os
import tempfile
from pathlib import Path

_CGROUPS = Path("/sys/fs/cgroup")


def usable_cores() -> int:
    """How many cores we may use: those we may run on, or fewer where a CPU quota is set."""
    quota = _quota()
    return min(len(_cores()), math.ceil(quota)) if quota else len(_cores())


class Cores:
    """Hands out cores, each to one process; they are given back by `release` or when we end."""

    def __init__(self, *, pin: bool = True) -> None:
        self._candidates = _cores() if pin and _can_pin() and not _quota() else []
        self._locks: list[int] = []

    def take(self) -> int | None:
        """A core that nobody else has, or None: the process then runs on any."""
        while self._candidates:
            core = self._candidates.pop(0)
            if self._lock(Path(tempfile.gettempdir()) / f"kintsugi-core-{core}.lock"):
                return core
        return None

    def release(self) -> None:
        while self._locks:
            os.close(self._locks.pop())

    def _lock(self, path: Path) -> bool:
        try:
            file = _open(path)
        except OSError:
            return False
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(file)
            return False
        self._locks.append(file)
        return True


def _open(path: Path) -> int:
    """For reading is enough to lock it, and is allowed when another user made the file."""
    try:
        return os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    except FileNotFoundError:
        return os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CREAT, 0o644)


def _can_pin() -> bool:
    return hasattr(os, "sched_setaffinity")


def _cores() -> list[int]:
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


def _quota() -> float | None:
    """The smallest CPU quota in cores that a control group sets for us, version 1 or 2."""
    quotas = [quota for group in _groups() if (quota := _quota_of(group))]
    return min(quotas, default=None)


def _groups() -> list[Path]:
    try:
        lines = Path("/proc/self/cgroup").read_text().splitlines()
    except OSError:
        return []
    found = []
    for _, controllers, path in (line.split(":", 2) for line in lines):
        if controllers and "cpu" not in controllers.split(","):
            continue
        root = _CGROUPS / controllers
        group = root / path.lstrip("/")
        found += [group, *(parent for parent in group.parents if parent.is_relative_to(root))]
    return found


def _quota_of(group: Path) -> float | None:
    try:
        if (group / "cpu.max").exists():
            allowed, period = (group / "cpu.max").read_text().split()
        else:
            allowed = (group / "cpu.cfs_quota_us").read_text()
            period = (group / "cpu.cfs_period_us").read_text()
        return int(allowed) / int(period) if int(allowed) > 0 else None
    except (OSError, ValueError):  # no such file, or "max"
        return None
