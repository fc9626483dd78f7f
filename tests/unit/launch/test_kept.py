"""A child that keeps dying is started again less and less often."""

import os
import signal
import sys
import time

from server.launch.child import Child
from server.launch.kept import Kept


def _tend(kept: Kept, seconds: float) -> list[str]:
    deadline = time.monotonic() + seconds
    news = []
    while time.monotonic() < deadline:
        news += [text] if (text := kept.tend()) else []
        time.sleep(0.01)
    return news


def test_what_dies_at_once_is_started_again_with_longer_and_longer_pauses(tmp_path):
    child = Child("job", [sys.executable, "-c", "exit(3)"], tmp_path / "log")
    child.start()
    kept = Kept(child)
    news = _tend(kept, 2.5)
    assert 1 <= kept.restarts <= 4
    assert news[0].startswith("job exited with 3 and is started again")


def test_what_lives_is_left_alone_and_what_is_killed_is_told_by_its_signal(tmp_path):
    dead = []
    child = Child("job", ["sleep", "60"], tmp_path / "log")
    child.start()
    kept = Kept(child, dead.append)
    assert _tend(kept, 0.1) == []
    first = child.pid
    os.kill(first, signal.SIGKILL)
    child.wait(10)
    assert "was killed by SIGKILL" in kept.tend()
    assert dead == [first]
    _tend(kept, 1)
    assert child.alive
    assert child.pid != first
    child.send(signal.SIGKILL)
    child.wait(10)


def test_a_program_that_vanished_does_not_end_the_supervisor(tmp_path):
    program = tmp_path / "program"
    program.write_text("#!/bin/sh\nexit 1\n")
    program.chmod(0o755)
    child = Child("job", [str(program)], tmp_path / "log")
    child.start()
    child.wait(10)
    kept = Kept(child)
    program.unlink()
    news = _tend(kept, 1)
    assert len(news) == 2
    assert "can't be started" in news[1]
