"""`kintsugi up` as an ordinary user, and as a root that may not make user namespaces.

As root with all its powers, or as an ordinary user, is how all the other tests run it.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from server.launch import account, postgres
from tests.acceptance.test_rest_exceptions import as_raised

NOBODY = 65534
pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="all tests run as an ordinary user")


@pytest.fixture
def open_directory() -> Iterator[Path]:
    """A directory that every account can reach, which pytest's own ones aren't."""
    directory = Path(tempfile.mkdtemp(prefix="kintsugi-test-"))
    directory.chmod(0o777)
    yield directory
    shutil.rmtree(directory)


def _runs(program: str | Path, enter: Callable[[], None] | None) -> bool:
    try:
        subprocess.run([program, "--version"], preexec_fn=enter, check=True, capture_output=True)
    except (OSError, subprocess.SubprocessError):
        return False
    return True


def _ordinary_user() -> account.Account:
    """Nobody, or where our Python is in root's home, root's alter ego in a user namespace."""
    for candidate in (account._user(NOBODY), account._namespaced()):
        if _runs(sys.executable, candidate.enter):
            return candidate
    pytest.skip(f"no other account can run {sys.executable}")


def test_as_an_ordinary_user(start_up, open_directory):
    user = _ordinary_user()
    data = open_directory / "data"
    env = os.environ | {"HOME": str(open_directory)}
    stack = start_up("--port", "0", "--workers", "1", data_dir=data, env=env, enter=user.enter)
    assert stack.http.post(stack.exceptions, json=stack.new_exception("user")).status_code == 200
    assert (data / "postgres").stat().st_uid == user.uid
    assert stack.stop() == 0
    stack.wait_gone()


def _root_without_namespaces() -> None:
    """Every account is what it is outside, but there may be no namespace below this one."""
    ready, done = os.pipe(), os.pipe()
    outside = os.fork()
    if outside == 0:
        os.read(ready[0], 1)
        for kind in ("uid_map", "gid_map"):
            account._write(f"/proc/{os.getppid()}/{kind}", "0 0 65536")
        os._exit(os.write(done[1], b"x") - 1)
    assert account._libc.unshare(account._CLONE_NEWUSER) == 0
    os.write(ready[1], b"x")
    os.waitpid(outside, 0)
    account._write("/proc/sys/user/max_user_namespaces", "0")


def test_as_root_where_user_namespaces_are_not_allowed(start_up, open_directory):
    if not _runs(postgres._programs() / "postgres", account._user(NOBODY).enter):
        pytest.skip("nobody can't run PostgreSQL from where it is installed")
    if not _runs(sys.executable, _root_without_namespaces):
        pytest.skip("no such root can be made here")
    data = open_directory / "data"
    flags = ("--port", "0", "--workers", "1")
    stack = start_up(*flags, data_dir=data, enter=_root_without_namespaces)
    created = stack.http.post(stack.exceptions, json=stack.new_exception("root")).json()
    assert (data / "postgres").stat().st_uid == NOBODY
    stack.process.send(9)
    stack.wait_gone()

    again = start_up(*flags, data_dir=data)
    found = again.http.get(f"{again.rest}/api/v1/{created['name']}")
    assert as_raised(found.json()) == as_raised(created)


def test_as_root_without_any_way_it_says_so(start_up, tmp_path):
    if not _runs(sys.executable, _root_without_namespaces):
        pytest.skip("no such root can be made here")
    tmp_path.chmod(0o700)
    stack = start_up(
        "--port", "0", data_dir=tmp_path / "data", enter=_root_without_namespaces, ready=False
    )
    said = stack.fails().strip()
    assert "\n" not in said
    assert "can't reach" in said
    assert "--data-dir" in said
