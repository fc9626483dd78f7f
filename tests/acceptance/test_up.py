"""`kintsugi up` from the first start to the last stop, as its user sees it.

What it says when it can't start is in `test_up_refusals.py`.
"""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import grpc
import httpx
import pytest
from grpc_health.v1 import health_pb2

from tests.acceptance.test_rest_exceptions import as_raised

SERVING = health_pb2.HealthCheckResponse.SERVING


def _health(address: str) -> int:
    with grpc.insecure_channel(address) as channel:
        check = channel.unary_unary(
            "/grpc.health.v1.Health/Check",
            request_serializer=health_pb2.HealthCheckRequest.SerializeToString,
            response_deserializer=health_pb2.HealthCheckResponse.FromString,
        )
        return int(check(health_pb2.HealthCheckRequest(), timeout=10).status)


def test_everything_in_the_ready_file_answers(stack):
    assert stack.http.get(stack.exceptions).status_code == 200
    assert [_health(address) for address in [*stack.grpc, stack.edge]] == [SERVING] * 3
    assert httpx.get(f"{stack.health}/healthz").status_code == 200
    assert httpx.get(stack.metrics).status_code == 200
    assert stack.workspace == "organizations/local/workspaces/default"


def test_the_terminal_says_where_to_go(stack):
    said = stack.output.read_text()
    for place in (stack.exceptions, stack.edge, *stack.grpc, stack.health, stack.metrics):
        assert place in said
    assert str(stack.data_dir) in said


def test_ready_while_database_servers_and_envoy_answer(stack):
    answer = httpx.get(f"{stack.health}/readyz")
    assert answer.status_code == 200
    assert answer.json()["checks"] == {
        "database": "ok",
        "servers": "2 of 2 serve",
        "streams": "2 of 2 are up to date",
        "worker": "ok",
        "envoy": f"a server is reached through {stack.edge}",
    }


def test_an_unknown_page_says_which_there_are(stack):
    answer = httpx.get(f"{stack.health}/health")
    assert answer.status_code == 404
    assert "/healthz" in answer.json()["message"]


def test_metrics_tell_of_every_process(stack):
    text = httpx.get(stack.metrics).text
    for process in ("PostgreSQL", "server-1", "server-2", "worker", "envoy"):
        assert f'kintsugi_process_up{{process="{process}"}} 1.0' in text
        assert f'kintsugi_process_restarts_total{{process="{process}"}} 0.0' in text


def test_data_is_there_after_ctrl_c_and_another_start(start_up):
    first = start_up("--port", "0", "--workers", "1")
    raised = first.http.post(first.exceptions, json=first.new_exception("kept")).json()
    created = first.described(raised["name"])
    begun = time.monotonic()
    os.killpg(first.process.pid, signal.SIGINT)  # as the terminal does it
    assert first.process.wait(20)
    assert time.monotonic() - begun < 10
    assert first.process.code == 0
    assert not first.ready_file.exists()
    first.wait_gone()

    second = start_up("--port", "0", "--workers", "1", data_dir=first.data_dir)
    again = second.http.get(f"{second.rest}/api/v1/{created['name']}")
    assert again.json() == created


def test_kill_9_leaves_nothing_running_and_nothing_lost(start_up):
    first = start_up("--port", "0", "--workers", "1")
    created = first.http.post(first.exceptions, json=first.new_exception("killed")).json()
    assert len(first.processes()) >= 3
    first.process.send(signal.SIGKILL)
    first.wait_gone()

    second = start_up("--port", "0", "--workers", "1", data_dir=first.data_dir)
    again = second.http.get(f"{second.rest}/api/v1/{created['name']}")
    assert as_raised(again.json()) == as_raised(created)


def test_killed_and_started_at_once_it_comes_up(start_up):
    """The new one waits for what the old one's PostgreSQL still has to do."""
    stack = start_up("--port", "0", "--workers", "1")
    for _ in range(3):
        stack.process.send(signal.SIGKILL)
        stack.process.wait(10)
        stack = start_up("--port", "0", "--workers", "1", data_dir=stack.data_dir)
    assert stack.http.get(stack.exceptions).status_code == 200


def test_killed_in_the_middle_of_its_first_start_it_can_be_started(start_up, tmp_path):
    for seconds in (0.4, 0.6, 0.8, 1.2, 2):
        stack = start_up("--port", "0", data_dir=tmp_path / "data", ready=False)
        time.sleep(seconds)
        stack.process.send(signal.SIGKILL)
        stack.wait_gone()
    stack = start_up("--port", "0", "--workers", "1", data_dir=tmp_path / "data")
    assert stack.http.get(stack.exceptions).status_code == 200


@pytest.mark.parametrize("seconds", [0.3, 0.5, 0.7, 1.0, 1.5])
def test_sigterm_ends_it_too_however_early(start_up, seconds):
    stack = start_up("--port", "0", ready=False)
    time.sleep(seconds)
    assert stack.stop(signal.SIGTERM) in (0, -signal.SIGTERM)
    stack.wait_gone()


def test_processes_that_hang_do_not_hold_up_the_end(start_up):
    stack = start_up("--port", "0", "--workers", "1")
    for pid in stack.children():
        os.kill(pid, signal.SIGSTOP)
    begun = time.monotonic()
    assert stack.stop() == 0
    assert time.monotonic() - begun < 10
    stack.wait_gone()


def test_a_second_ctrl_c_does_not_wait(start_up):
    stack = start_up("--port", "0", "--workers", "1")
    for pid in stack.children():
        os.kill(pid, signal.SIGSTOP)
    stack.process.send(signal.SIGINT)
    time.sleep(0.3)
    assert stack.stop() == 0
    stack.wait_gone()


def test_two_at_the_same_time_take_ports_of_their_own(stack, start_up):
    other = start_up("--port", "0", "--workers", "1")
    ports = [*stack.grpc, stack.edge, *other.grpc, other.edge]
    assert len(set(ports)) == len(ports)
    assert other.http.get(other.exceptions).json()["total_size"] == 0


def test_servers_take_consecutive_ports_from_the_one_named(start_up, free_ports):
    port = free_ports(2)
    stack = start_up("--port", "0", "--grpc-port", str(port), "--workers", "2")
    assert stack.grpc == [f"127.0.0.1:{port}", f"127.0.0.1:{port + 1}"]


def test_a_database_of_ones_own(start_up, postgres, empty_database):
    flags = ("--port", "0", "--workers", "1", "--database-url", empty_database)
    stack = start_up(*flags)
    assert stack.http.post(stack.exceptions, json=stack.new_exception("own")).status_code == 200
    assert not (stack.data_dir / "postgres").exists()
    assert empty_database not in _command_lines(stack.processes())
    stack.stop()
    assert postgres.child.alive


def _command_lines(pids: list[int]) -> str:
    return "".join(Path(f"/proc/{pid}/cmdline").read_text() for pid in pids)


def test_a_long_path_to_the_data_is_no_problem(start_up, tmp_path):
    stack = start_up("--port", "0", "--workers", "1", data_dir=tmp_path / ("long " * 20) / "data")
    assert stack.http.get(stack.exceptions).status_code == 200


def test_folders_of_the_same_names_where_the_user_is_do_not_matter(start_up, tmp_path):
    for name in ("cli", "server", "kintsugi"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("raise SystemExit('not ours')")
    stack = start_up("--port", "0", "--workers", "1", enter=lambda: os.chdir(tmp_path))
    assert stack.http.get(stack.exceptions).status_code == 200


def test_every_flag_is_in_the_help():
    kintsugi = Path(sys.executable).with_name("kintsugi")
    said = subprocess.run([kintsugi, "up", "--help"], capture_output=True, text=True, check=True)
    flags = (
        "data-dir port grpc-port health-port metrics-port workers database-url ready-file no-pin"
    )
    assert [flag for flag in flags.split() if f"--{flag} " not in said.stdout] == []


def test_closing_the_terminal_ends_it_in_good_order(start_up):
    stack = start_up("--port", "0", "--workers", "1")
    assert stack.stop(signal.SIGHUP) == 0
    stack.wait_gone()
