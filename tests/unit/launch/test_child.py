"""What is kept of a child's output, and that a child doesn't outlive whoever started it."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from server.launch import child
from server.launch.child import Child


def _shell(script, log):
    return Child("job", ["sh", "-c", script], log)


def test_last_words_are_of_this_start_and_not_of_an_earlier_one(tmp_path):
    log = tmp_path / "log"
    assert _shell("echo first; echo; exit 1", log).run() == 1
    again = _shell("echo second >&2; echo; echo third", log)
    assert again.run() == 0
    assert again.last_words() == ["second", "third"]
    assert again.last_words(1) == ["third"]
    assert log.read_text().startswith("first\n")


def test_stopping_goes_on_to_the_next_signal_only_where_one_was_not_enough(tmp_path):
    quick = _shell("exec sleep 60", tmp_path / "quick")
    stubborn = _shell("trap '' TERM; while :; do sleep 0.1; done", tmp_path / "stubborn")
    for one in (quick, stubborn):
        one.start()
    time.sleep(0.5)
    child.stop([quick, stubborn], ((signal.SIGTERM, 1.0), (signal.SIGKILL, 10.0)))
    assert (quick.end(), stubborn.end()) == ("was killed by SIGTERM", "was killed by SIGKILL")


def test_a_child_dies_with_its_parent(tmp_path):
    script = (
        "import sys, time, pathlib; from server.launch.child import Child;"
        "one = Child('job', ['sleep', '60'], pathlib.Path(sys.argv[1])); one.start();"
        "print(one.pid, flush=True); time.sleep(60)"
    )
    argv = [sys.executable, "-c", script, str(tmp_path / "log")]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as parent:
        pid = int(parent.stdout.readline())
        parent.kill()
    deadline = time.monotonic() + 10
    while _runs(pid):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def _runs(pid: int) -> bool:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"


def test_a_child_has_a_terminal_session_of_its_own(tmp_path):
    one = _shell("sleep 60", tmp_path / "log")
    one.start()
    assert os.getsid(one.pid) == one.pid
    child.stop([one], ((signal.SIGKILL, 10.0),))


def test_a_log_that_grew_is_put_aside_while_it_is_written(tmp_path, monkeypatch):
    monkeypatch.setattr(child, "_LOG_BYTES", 10)
    log = tmp_path / "log"
    with log.open("ab", buffering=0) as writer:
        writer.write(b"a long first line\n")
        child.rotate(log)
        writer.write(b"second\n")
    assert (tmp_path / "log.1").read_text() == "a long first line\n"
    assert log.read_text() == "second\n"
