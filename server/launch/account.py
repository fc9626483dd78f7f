"""The account that PostgreSQL runs under: it refuses to run as root, so root lends it another.

Everything else runs as whoever started us.
"""

import ctypes
import os
import pwd
import stat
import subprocess
from dataclasses import dataclass
from pathlib import Path

from server.launch.child import CannotStart, Enter

_CLONE_NEWUSER = 0x10000000
_INSIDE = 1000
_libc = ctypes.CDLL(None)


@dataclass(frozen=True)
class Account:
    """Who owns the files, and how a child becomes that account (None: it is already)."""

    uid: int
    enter: Enter | None = None


def choose(directory: Path, program: Path) -> Account:
    """The account for data in `directory` (which may not exist yet), able to run `program`."""
    if os.geteuid() != 0:
        return Account(os.geteuid())
    owner = directory.stat().st_uid if directory.exists() else 0
    candidates = [_user(owner)] if owner else [_namespaced(), _user(_nobody())]
    for account in candidates:
        if _works(account, program):
            _check_reach(account, directory)
            return account
    raise CannotStart(
        "PostgreSQL doesn't run as root, user namespaces aren't allowed here, and uid "
        f"{candidates[-1].uid} can't run {program}: start Kintsugi as an ordinary user"
    )


def _check_reach(account: Account, directory: Path) -> None:
    """Whether an account that isn't ours may pass through all folders above its data."""
    if account.uid == os.geteuid() or directory.exists():
        return
    for folder in reversed(directory.parents):
        if not folder.stat().st_mode & stat.S_IXOTH:
            raise CannotStart(
                f"PostgreSQL doesn't run as root, so here it has to as uid {account.uid}, which "
                f"can't reach {folder}: choose another --data-dir, such as /var/lib/kintsugi"
            )


def give(directory: Path, account: Account) -> None:
    """Makes the account the owner of a directory and all that is in it."""
    if directory.lstat().st_uid == account.uid:
        return
    for path in [directory, *directory.rglob("*")]:
        os.chown(path, account.uid, -1, follow_symlinks=False)


def _works(account: Account, program: Path) -> bool:
    try:
        tried = subprocess.run(  # noqa: S603
            [program, "--version"],
            check=False,
            capture_output=True,
            cwd="/",
            preexec_fn=account.enter,
        )
    except (OSError, subprocess.SubprocessError):
        return False
    return tried.returncode == 0


def _namespaced() -> Account:
    """Root outside, an ordinary user inside: files stay root's and every path stays readable."""
    uid, gid = os.geteuid(), os.getegid()

    def enter() -> None:
        if _libc.unshare(_CLONE_NEWUSER) != 0:
            raise OSError("user namespaces aren't allowed")
        _write("/proc/self/uid_map", f"{_INSIDE} {uid} 1")
        _write("/proc/self/setgroups", "deny")
        _write("/proc/self/gid_map", f"{_INSIDE} {gid} 1")

    return Account(uid, enter)


def _user(uid: int) -> Account:
    gid = _group(uid)

    def enter() -> None:
        os.setgroups([])
        os.setgid(gid)
        os.setuid(uid)

    return Account(uid, enter)


def _group(uid: int) -> int:
    try:
        return pwd.getpwuid(uid).pw_gid
    except KeyError:
        return uid


def _nobody() -> int:
    try:
        return pwd.getpwnam("nobody").pw_uid
    except KeyError:
        return 65534


def _write(path: str, text: str) -> None:
    file = os.open(path, os.O_WRONLY)
    os.write(file, text.encode())
    os.close(file)
