"""`kintsugi exec`: a job passed through as it is, and its failure carried on."""

import json
import os
import pty
import signal
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

KINTSUGI = str(Path(sys.executable).with_name("kintsugi"))

Until = Callable[[Callable[[], bool], float], bool]


class Run:
    """One `kintsugi exec` of an automation of its own, with its output in files."""

    def __init__(
        self, stack: Any, directory: Path, flags: Sequence[str], command: Sequence[str], **env: str
    ) -> None:
        self.stack = stack
        self.run = uuid.uuid4().hex
        self.out, self.err = directory / f"{self.run}.out", directory / f"{self.run}.err"
        argv = [KINTSUGI, "exec", "--automation", "cli", "--run", self.run, *flags, "--", *command]
        with self.out.open("wb") as out, self.err.open("wb") as err:
            self.process = subprocess.Popen(
                argv,
                env=stack.env | env,
                stdout=out,
                stderr=err,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )

    def code(self) -> int:
        return self.process.wait(60)

    def says(self) -> str:
        return self.err.read_text(errors="replace")

    def ours(self) -> list[str]:
        return [line for line in self.says().splitlines() if line.startswith("kintsugi: ")]

    def exceptions(self) -> list[dict[str, Any]]:
        """What was raised for this run, oldest first."""
        answer = self.stack.http.get(self.stack.exceptions, params={"filter": f"run = {self.run}"})
        found: list[dict[str, Any]] = answer.raise_for_status().json()["exceptions"]
        return found[::-1]

    def exception(self) -> dict[str, Any]:
        (one,) = self.exceptions()
        return one


def kintsugi(stack: Any, *words: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [KINTSUGI, *words], env=stack.env, capture_output=True, text=True, check=False, timeout=60
    )


StartExec = Callable[..., Run]


@pytest.fixture
def start_exec(stack: Any, tmp_path: Path) -> Iterator[StartExec]:
    """`start_exec("--no-wait", command=[…], NAME=value of the environment)`."""
    started: list[Run] = []

    def start(*flags: str, command: Sequence[str], at: Any = stack, **env: str) -> Run:
        started.append(Run(at, tmp_path, flags, command, **env))
        return started[-1]

    yield start
    for one in started:
        if one.process.poll() is None:
            os.killpg(one.process.pid, signal.SIGKILL)
            one.process.wait()


@pytest.fixture
def nobody() -> Any:
    """A service that isn't there."""

    class Nobody:
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        env = os.environ | {"KINTSUGI_SERVER": f"127.0.0.1:{port}"}

    return Nobody


def python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


def test_output_goes_through_byte_for_byte(start_exec: StartExec) -> None:
    both = "import os; os.write(1, bytes(range(256)) * 999); os.write(2, b'\\xff\\x00err' * 999)"
    run = start_exec(command=python(both))
    assert run.code() == 0
    assert run.out.read_bytes() == bytes(range(256)) * 999
    assert run.err.read_bytes() == b"\xff\x00err" * 999


def test_output_goes_through_at_once(start_exec: StartExec, until: Until) -> None:
    run = start_exec(command=["sh", "-c", "printf half; sleep 60"])
    assert until(lambda: run.out.read_bytes() == b"half", 30)
    assert run.process.poll() is None


def test_stdin_is_the_jobs(stack: Any) -> None:
    done = subprocess.run(
        [KINTSUGI, "exec", "--automation", "cli", "--", "cat"],
        env=stack.env,
        input=b"a\x00b",
        capture_output=True,
        check=False,
        timeout=60,
    )
    assert (done.returncode, done.stdout) == (0, b"a\x00b")


@pytest.mark.parametrize(
    ("command", "code", "message"),
    [
        (["sh", "-c", "exit 3"], 3, "sh exited with 3"),
        (["sh", "-c", "exit 255"], 255, "sh exited with 255"),
        (["sh", "-c", "kill -KILL $$"], 137, "sh was killed by SIGKILL"),
        (["sh", "-c", "kill -SEGV $$"], 139, "sh was killed by SIGSEGV"),
        (["./no-such-command"], 127, "./no-such-command was not found"),
        (["/dev/null"], 126, "/dev/null can't be run: Permission denied"),
        (["sh", "-c", "echo out; echo err >&2; exit 1"], 1, "err"),
        (["sh", "-c", "echo out; exit 1"], 1, "out"),
    ],
)
def test_a_failure_is_raised_and_the_exit_code_is_the_jobs(
    start_exec: StartExec, command: list[str], code: int, message: str
) -> None:
    run = start_exec("--no-wait", command=command)
    assert run.code() == code
    raised = run.exception()
    assert raised["message"] == message
    assert raised["extra"]["exit_code"] == str(code)
    assert raised["extra"]["host"] == socket.gethostname()
    assert raised["state"] == "EXCEPTION_STATE_PENDING"


def test_the_exception_points_to_the_error_line_in_the_whole_output(start_exec: StartExec) -> None:
    run = start_exec("--no-wait", command=python("print('x' * 99999, flush=True); {}['total']"))
    assert run.code() == 1
    raised = run.exception()
    end = 100_000 + run.err.read_bytes().index(b"\nkintsugi:")
    assert raised["message"] == "KeyError: 'total'"
    assert raised["location"] == {
        "start_byte": str(end - len("KeyError: 'total'")),
        "end_byte": str(end),
    }
    assert raised["extra"]["output"].endswith("KeyError: 'total'\n")
    assert len(raised["extra"]["output"]) == 16384


def test_success_raises_nothing_and_says_nothing(start_exec: StartExec) -> None:
    run = start_exec(command=["true"])
    assert (run.code(), run.says(), run.exceptions()) == (0, "", [])


def test_resolved_runs_the_job_again_as_often_as_it_takes(
    stack: Any, start_exec: StartExec, until: Until, tmp_path: Path
) -> None:
    job = f"read n < {tmp_path}/n; echo $((n + 1)) > {tmp_path}/n; echo try $n; exit $((2 - n))"
    (tmp_path / "n").write_text("0\n")
    run = start_exec(command=["sh", "-c", job])
    for attempt in (1, 2):
        assert until(lambda attempt=attempt: run.says().count("waiting;") == attempt, 60)
        name = run.exceptions()[-1]["name"]
        resolved = kintsugi(stack, "exceptions", "resolve", name, "--note", f"fix {attempt}")
        assert resolved.returncode == 0, resolved.stderr
    assert run.code() == 0
    assert run.out.read_text() == "try 0\ntry 1\ntry 2\n"
    first, second = run.exceptions()
    assert first["execution_id"].startswith("1-")
    assert second["execution_id"].startswith("2-")
    assert "fix 1" in run.says()


def test_the_command_to_resolve_is_told_and_works_as_it_is(
    start_exec: StartExec, until: Until, tmp_path: Path
) -> None:
    run = start_exec(command=["sh", "-c", f"test -e {tmp_path}/repaired"])
    assert until(lambda: "waiting;" in run.says(), 60)
    (told,) = [line for line in run.ours() if "exceptions resolve" in line]
    (tmp_path / "repaired").touch()
    subprocess.run(["sh", "-c", told.partition("repaired: ")[2]], check=True, timeout=60)
    assert run.code() == 0


def test_archived_ends_with_the_jobs_code(stack: Any, start_exec: StartExec, until: Until) -> None:
    run = start_exec(command=["sh", "-c", "exit 7"])
    assert until(lambda: "waiting;" in run.says(), 60)
    assert kintsugi(stack, "exceptions", "archive", run.exception()["name"]).returncode == 0
    assert run.code() == 7


def test_what_is_said_about_the_exception_is_shown_while_waiting(
    stack: Any, start_exec: StartExec, until: Until
) -> None:
    run = start_exec(command=["sh", "-c", "echo the output; exit 7"])
    assert until(lambda: "waiting;" in run.says(), 60)
    before, id = len(run.ours()), run.exception()["name"].rpartition("/")[2]
    thread = f"automations/cli/runs/{run.run}"
    for words in (
        ("events", "say", id, "looking at it"),
        ("events", "say", thread, "about something else"),
        ("exceptions", "assign", id, "ada"),
        ("events", "say", id, "given up"),
    ):
        assert kintsugi(stack, *words).returncode == 0
    assert until(lambda: "given up" in run.says(), 60)
    assert kintsugi(stack, "exceptions", "archive", id).returncode == 0
    assert run.code() == 7
    first_words = f"kintsugi: {run.exception()['description']}"
    assert [line for line in run.ours()[before:] if line != first_words] == [
        "kintsugi: local: looking at it",
        "kintsugi: system: Assigned to users/ada by users/local.",
        "kintsugi: local: given up",
        "kintsugi: archived; giving up",
    ]
    assert run.out.read_text() == "the output\n"


def test_the_end_of_the_wait_ends_with_the_jobs_code(start_exec: StartExec) -> None:
    run = start_exec("--wait", "2s", command=["sh", "-c", "exit 7"])
    assert run.code() == 7
    assert run.exception()["state"] == "EXCEPTION_STATE_PENDING"


def test_ctrl_c_while_waiting_ends_with_the_jobs_code(start_exec: StartExec, until: Until) -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        run = start_exec(command=["sh", "-c", "exit 7"])
        assert until(lambda run=run: "waiting;" in run.says(), 60)
        run.process.send_signal(number)
        assert run.code() == 7
        assert "Traceback" not in run.says()


def test_retries_run_it_again_before_anything_is_raised(
    start_exec: StartExec, tmp_path: Path
) -> None:
    count = f"echo x >> {tmp_path}/tries; exit 5"
    run = start_exec("--retries", "2", "--no-wait", command=["sh", "-c", count])
    assert run.code() == 5
    assert (tmp_path / "tries").read_text() == "x\nx\nx\n"
    assert run.exception()["execution_id"].startswith("3-")


def test_a_retry_that_succeeds_raises_nothing(start_exec: StartExec, tmp_path: Path) -> None:
    once = f"test -e {tmp_path}/tried || ! touch {tmp_path}/tried"
    run = start_exec("--retries", "1", command=["sh", "-c", once])
    assert (run.code(), run.exceptions()) == (0, [])


def test_the_same_run_invoked_twice_raises_two_exceptions(stack: Any) -> None:
    run = uuid.uuid4().hex
    words = ("exec", "--automation", "cli", "--run", run, "--no-wait", "--", "false")
    assert [kintsugi(stack, *words).returncode for _ in range(2)] == [1, 1]
    listed = kintsugi(stack, "exceptions", "list", "--json").stdout.splitlines()
    raised = [one for one in map(json.loads, listed) if one["run"].endswith(run)]
    assert len({one["execution_id"] for one in raised}) == 2
    assert [one["occurrence_count"] for one in raised] == [1, 1]


SLEEPER = "import time; print('ready', flush=True); time.sleep(60)"


def test_sigterm_reaches_the_job_and_its_exception_is_not_waited_for(
    start_exec: StartExec, until: Until
) -> None:
    run = start_exec(command=python(SLEEPER))
    assert until(lambda: b"ready" in run.out.read_bytes(), 30)
    run.process.terminate()
    assert run.code() == 128 + signal.SIGTERM
    assert run.exception()["extra"]["exit_code"] == "143"


def test_ctrl_c_reaches_the_job_once_and_raises_nothing(
    stack: Any, until: Until, tmp_path: Path
) -> None:
    """In a terminal, where the keyboard's signal goes to both."""
    job = (
        "import signal, sys, time\n"
        "def stop(*_):\n    print('stopped', flush=True); time.sleep(1); sys.exit(9)\n"
        "signal.signal(signal.SIGINT, stop)\n"
        "print('ready', flush=True); time.sleep(60)\n"
    )
    run, child, terminal = uuid.uuid4().hex, *pty.fork()
    if child == 0:
        words = [KINTSUGI, "exec", "--automation", "cli", "--run", run, "--", *python(job)]
        os.execve(KINTSUGI, words, stack.env)
    shown = b""
    while b"ready" not in shown:
        shown += os.read(terminal, 1024)
    os.write(terminal, b"\x03")
    _, status = os.waitpid(child, 0)
    shown += os.read(terminal, 65536)
    os.close(terminal)
    assert os.waitstatus_to_exitcode(status) == 9
    assert shown.count(b"stopped") == 1
    listed = kintsugi(stack, "exceptions", "list", "--limit", "1000", "--json").stdout
    assert run not in listed


def test_sigint_to_exec_alone_reaches_the_job(start_exec: StartExec, until: Until) -> None:
    run = start_exec(command=python(SLEEPER))
    assert until(lambda: b"ready" in run.out.read_bytes(), 30)
    run.process.send_signal(signal.SIGINT)
    assert run.code() == 128 + signal.SIGINT
    assert run.exceptions() == []


def test_a_service_that_is_away_never_keeps_the_job_from_running(
    start_exec: StartExec, nobody: Any
) -> None:
    run = start_exec(at=nobody, command=["sh", "-c", "echo out; exit 3"])
    assert run.code() == 3
    assert run.out.read_text() == "out\n"
    assert [line for line in run.ours() if "can't reach Kintsugi" in line]


@pytest.mark.parametrize("server", ["no/address", "127.0.0.1:1", "nowhere.invalid:80"])
def test_a_wrong_address_passes_the_exit_code_too(
    start_exec: StartExec, nobody: Any, server: str
) -> None:
    run = start_exec(at=nobody, command=["sh", "-c", "exit 3"], KINTSUGI_SERVER=server)
    assert run.code() == 3
    assert len(run.ours()) == 2
    assert "Traceback" not in run.says()


def test_an_unknown_workspace_passes_the_exit_code_too(start_exec: StartExec) -> None:
    other = "organizations/local/workspaces/nowhere"
    run = start_exec(command=["sh", "-c", "exit 3"], KINTSUGI_WORKSPACE=other)
    assert run.code() == 3
    assert [line for line in run.ours() if other in line]


def test_no_output_tells_nothing_of_what_was_written(start_exec: StartExec) -> None:
    said = "import sys; print('born 1815'); sys.exit('name: Ada')"
    run = start_exec("--no-wait", "--no-output", command=python(said))
    assert run.code() == 1
    raised = run.exception()
    assert raised["message"] == f"{sys.executable} exited with 1"
    assert "output" not in raised["extra"]


def test_secrets_never_reach_the_service(start_exec: StartExec) -> None:
    job = (
        "import os, sys; print('env', os.environ['BILLING_TOKEN'], flush=True);"
        "sys.exit('login at https://ada:hunter2@db failed with password=hunter3')"
    )
    words = [*python(job), "--password", "hunter4", "Authorization: Bearer hunter5"]
    run = start_exec("--no-wait", command=words, BILLING_TOKEN="hunter1-token")
    assert run.code() == 1
    raised = run.exception()
    assert raised["message"] == "login at https://ada:***@db failed with password=***"
    assert "env ***" in raised["extra"]["output"]
    assert "hunter1-token" in run.out.read_text()
    for secret in ("hunter1", "hunter4", "hunter5"):
        assert secret not in json.dumps(raised)


def test_binary_output_is_raised_as_text(start_exec: StartExec) -> None:
    run = start_exec(
        "--no-wait",
        command=["sh", "-c", "head -c 50000 /dev/urandom; printf 'a\\0b\\377' >&2; exit 1"],
    )
    assert run.code() == 1
    assert run.exception()["message"] == "a\ufffdb\ufffd"


def test_huge_output_needs_no_more_memory(start_exec: StartExec, until: Until) -> None:
    run = start_exec(command=["sh", "-c", "head -c 300000000 /dev/zero; exit 1"])
    assert until(lambda: "waiting;" in run.says(), 60)
    assert run.out.stat().st_size == 300_000_000
    run.out.unlink()
    status = Path(f"/proc/{run.process.pid}/status").read_text()
    (peak,) = [line.split()[1] for line in status.splitlines() if line.startswith("VmHWM")]
    assert int(peak) < 150_000


def test_a_reader_who_leaves_is_noticed_by_the_job(stack: Any) -> None:
    pipeline = f"{KINTSUGI} exec --automation cli --no-wait -- yes | head -1"
    done = subprocess.run(
        ["sh", "-c", pipeline], env=stack.env, capture_output=True, check=False, timeout=60
    )
    assert done.stdout == b"y\n"
    assert b"yes was killed by SIGPIPE" in done.stderr


def test_what_a_job_leaves_running_does_not_keep_it_from_ending(start_exec: StartExec) -> None:
    begin = time.monotonic()
    run = start_exec(command=["sh", "-c", "sleep 50 & echo done"])
    assert (run.code(), run.out.read_text()) == (0, "done\n")
    assert time.monotonic() - begin < 40


def test_a_slow_reader_of_one_stream_does_not_hold_up_the_other(stack: Any) -> None:
    job = (
        "import os, threading\n"
        "threading.Thread(target=lambda: os.write(1, b'x' * 1000000)).start()\n"
        "os.write(2, b'y' * 1000000)\n"
    )
    process = subprocess.Popen(
        [KINTSUGI, "exec", "--automation", "cli", "--", *python(job)],
        env=stack.env,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout
    assert process.stderr
    assert process.stderr.read(1_000_000) == b"y" * 1_000_000
    assert process.stdout.read() == b"x" * 1_000_000
    process.stderr.close()
    process.stdout.close()
    assert process.wait(60) == 0


@pytest.mark.parametrize(
    "words",
    [
        ("--automation", "a b", "--", "true"),
        ("--automation", "a", "--wait", "soon", "--", "true"),
        ("--automation", "a", "--wait", "1s", "--no-wait", "--", "true"),
        ("--automation", "a", "--retries", "-1", "--", "true"),
        ("--automation", "a", "--"),
        ("--", "true"),
    ],
)
def test_wrong_use_is_refused_before_the_job_runs(stack: Any, words: tuple[str, ...]) -> None:
    refused = kintsugi(stack, "exec", *words)
    assert refused.returncode == 2
    assert "Error: " in refused.stderr
    assert "Traceback" not in refused.stderr
