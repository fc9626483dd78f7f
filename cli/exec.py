"""`kintsugi exec`: runs a job, and carries its failure to a person and back into the job.

Running it once, describing a failure and waiting are in `run/`.
"""

import os
import re
import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING

import click

from cli import names
from cli.run import process, signals
from cli.settings import quiet_grpc
from cli.terminal import look_command, resolve_command, say

if TYPE_CHECKING:
    from kintsugi.v1 import exception_pb2 as pb

UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


class Duration(click.ParamType[float]):
    """`90s`, `10m`, `1h30m` as seconds."""

    name = "duration"

    def convert(
        self, value: str | float, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        if isinstance(value, float):
            return value
        if not re.fullmatch(r"(\d+[smhd])+", value):
            self.fail(f"{value!r} is not a duration such as 90s, 10m or 2h", param, ctx)
        return float(sum(int(n) * UNITS[unit] for n, unit in re.findall(r"(\d+)(.)", value)))


@dataclass(frozen=True)
class Job:
    """A command, and what to do when it fails. `wait` in seconds; None means without end."""

    command: Sequence[str]
    run: str
    retries: int
    wait: float | None
    send_output: bool
    invocation: str


@click.command("exec", context_settings={"allow_interspersed_args": False})
@click.option("--automation", required=True, help="Whose run this is: an id, such as `billing`.")
@click.option("--run", help="Id of the run; made up when not given.")
@click.option(
    "--retries",
    default=0,
    show_default=True,
    type=click.IntRange(min=0),
    help="Run it again this often before an exception is raised.",
)
@click.option("--wait", type=Duration(), help="Wait this long (90s, 10m, 2h); default: no end.")
@click.option("--no-wait", is_flag=True, help="Raise the exception and exit.")
@click.option("--no-output", is_flag=True, help="Send nothing of what CMD wrote.")
@click.argument("command", nargs=-1, required=True, metavar="CMD...", type=click.UNPROCESSED)
def exec_(  # noqa: PLR0913 (one for each option)
    *,
    automation: str,
    run: str | None,
    retries: int,
    wait: float | None,
    no_wait: bool,
    no_output: bool,
    command: tuple[str, ...],
) -> int:
    """Run a job; its failure becomes an exception.

    CMD runs with this terminal's input; its output goes through pipes (so it sees no
    terminal) byte for byte, and its exit code is passed on: 128 + N when signal N killed
    it, 127 when there is no such command, 126 when it can't be run.

    When it fails, an exception is raised, with the last 16 KiB of output, secrets masked.
    What is said about it is shown, and once it is RESOLVED, CMD runs again, however often. Where
    a session was approved to retry the run, CMD runs again, and its success resolves it.
    ARCHIVED, the end of --wait or Ctrl-C end the waiting. Ctrl-C while CMD runs is for CMD,
    and raises nothing; after a SIGTERM, which CMD gets too, the exception isn't waited for.
    """
    if no_wait and wait is not None:
        raise click.UsageError("--wait and --no-wait exclude each other.")
    invocation = secrets.token_hex(4)
    run_name = names.run(automation, run or f"{time.strftime('%Y%m%d-%H%M%S')}-{invocation}")
    wait = 0.0 if no_wait else wait
    with signals.handled(signals.interrupt):
        return carry(Job(command, run_name, retries, wait, not no_output, invocation))


def carry(job: Job) -> int:
    """Runs the job until it succeeds or is given up. The exit code of its last attempt."""
    tries = 0
    for attempt in count(1):
        outcome = process.run(job.command)
        if outcome.code == 0 or outcome.interrupted:
            return outcome.code
        say(f"{job.command[0]} {outcome.ending}")
        if tries < job.retries and not outcome.signals:
            tries += 1
            say(f"running it again ({tries} of {job.retries} retries)")
        elif (last := _given_up(job, outcome, attempt)) is None:
            tries = 0
        else:
            return last.code
    raise AssertionError("unreachable")


def _given_up(job: Job, outcome: process.Outcome, attempt: int) -> process.Outcome | None:
    """Raises the exception and waits until it is repaired: None; otherwise the last attempt:
    whatever hinders the waiting, the job's own code is what counts."""
    attempts = [outcome]
    try:
        if _raise_and_follow(job, attempts, f"{attempt}-{job.invocation}"):
            return None
    except click.ClickException as error:
        say(error.message)
    except KeyboardInterrupt:
        say("no longer waiting")
        # gRPC may wait without end for a call that was interrupted, so its channel isn't closed.
        os._exit(attempts[-1].code)
    return attempts[-1]


def _raise_and_follow(job: Job, attempts: list[process.Outcome], execution_id: str) -> bool:
    """Whether it is to run again. Adds the attempts that sessions were approved to make."""
    with quiet_grpc():
        from cli.client import Client
        from cli.connection import Connection
        from cli.run.follow import follow
        from cli.run.report import describe
        from cli.run.retry import Retries
        from cli.session_client import ActionClient, SessionClient
        from cli.threads import Threads

    def described(outcome: process.Outcome) -> "pb.Exception":
        return describe(outcome, job.command, job.run, execution_id, with_output=job.send_output)

    def again() -> process.Outcome:
        attempts.append(process.run(job.command))
        return attempts[-1]

    connection = Connection.from_environment()
    client, broken = Client(connection), described(attempts[0])
    if waits := job.wait != 0 and not attempts[0].signals:
        broken.extra["retry"] = "exec"
    exception = client.create(broken)
    say(f"raised exception #{exception.number}: {exception.message}")
    if not waits:
        say(f"when it is repaired: {resolve_command(exception.name)}")
        return False
    say(f"to have it looked into: {look_command(exception.name)}")
    say(f"or, when it is repaired: {resolve_command(exception.name)}")
    say("waiting; Ctrl-C gives up")
    retries = Retries(
        ActionClient(connection),
        SessionClient(connection),
        exception.name,
        again,
        lambda outcome: described(outcome).message,
    )
    seen = follow(client, Threads(connection), exception, job.wait, retries.look)
    return _is_to_run(seen, works=attempts[-1].code == 0)


def _is_to_run(seen: "pb.Exception | None", *, works: bool) -> bool:
    """What follows from how the waiting ended; `works` says that the last attempt did."""
    from kintsugi.v1 import exception_pb2 as pb

    if seen is None:
        say("nobody resolved it in time")
        return False
    if seen.state != pb.EXCEPTION_STATE_RESOLVED:
        say("archived; giving up")
        return False
    note = f": {seen.resolution_note}" if seen.resolution_note else ""
    say(f"resolved by {seen.resolver}{note}{'' if works else '; running it again'}")
    return not works
