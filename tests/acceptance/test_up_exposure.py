"""Who can reach `kintsugi up` and `kintsugi serve`, and what they refuse to be reached by.

All of 127.0.0.0/8 is this machine's, so that 127.0.0.2 stands for its address on a network.
"""

import os
import socket
import subprocess
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests import certificates
from tests.certificates import Files, private_pem
from tests.conftest import KINTSUGI

OTHER = "127.0.0.2"


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    return certificates.make(tmp_path_factory.mktemp("certificates"))


def refused(start_up: Any, *flags: str) -> str:
    """The one line that it says instead of starting anything."""
    stack = start_up("--port", "0", *flags, ready=False)
    lines = stack.fails().strip().splitlines()
    assert len(lines) == 1, lines
    assert not (stack.data_dir / "postgres").exists()
    return str(lines[0])


def is_reached(address: str) -> bool:
    host, port = address.rsplit(":", 1)
    with socket.socket() as caller:
        return caller.connect_ex((host, int(port))) == 0


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1"])
def test_the_network_is_not_served_without_tls(start_up: Any, host: str) -> None:
    line = refused(start_up, "--host", host)
    assert f"--host {host}: without TLS anybody on the way could read the tokens" in line
    assert line.endswith("give --tls-cert and --tls-key, or --insecure")


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1:80"])
def test_a_host_must_be_an_address(start_up: Any, host: str) -> None:
    assert "it must be an IP address" in refused(start_up, "--host", host, "--insecure")


def test_an_address_of_another_machine(start_up: Any) -> None:
    line = refused(start_up, "--host", "192.0.2.1", "--insecure")
    assert "this machine has no address 192.0.2.1: choose another --host" in line


def test_a_port_that_is_taken_on_that_address_only(start_up: Any) -> None:
    with socket.create_server((OTHER, 0)) as taken:
        port = taken.getsockname()[1]
        line = refused(start_up, "--host", OTHER, "--port", str(port))
    assert f"port {port} is taken" in line


def test_only_envoy_is_on_the_network_if_it_has_to_be(start_up: Any) -> None:
    env = os.environ | {"KINTSUGI_GRPC_HOST": "0.0.0.0", "KINTSUGI_INSECURE": "1"}
    flags = ("--workers", "1", "--host", "0.0.0.0", "--insecure")
    stack = start_up("--port", "0", *flags, env=env)
    assert stack.edge.startswith("127.0.0.1:")
    assert stack.http.get(stack.exceptions).status_code == 200
    elsewhere = stack.exceptions.replace("127.0.0.1", OTHER)
    assert stack.http.get(elsewhere).status_code == 200
    assert httpx.get(elsewhere).status_code == 401
    for address in (*stack.grpc, *(url.split("/")[2] for url in (stack.health, stack.metrics))):
        assert is_reached(address)
        assert not is_reached(address.replace("127.0.0.1", OTHER))


def test_an_address_of_ones_own(start_up: Any) -> None:
    stack = start_up("--port", "0", "--workers", "1", "--host", OTHER)
    assert stack.edge.startswith(f"{OTHER}:")
    assert stack.http.get(stack.exceptions).status_code == 200
    assert not is_reached(stack.edge.replace(OTHER, "127.0.0.1"))
    assert stack.exceptions in stack.output.read_text()


def test_by_default_only_this_machine_is_served(stack: Any) -> None:
    assert is_reached(stack.edge)
    assert not is_reached(stack.edge.replace("127.0.0.1", OTHER))


# A certificate that can't be used


def pair(certificate: Path, key: Path) -> tuple[str, ...]:
    return ("--tls-cert", str(certificate), "--tls-key", str(key))


def test_half_a_pair(start_up: Any, files: Files) -> None:
    for half in (pair(files.certificate, files.key)[:2], pair(files.certificate, files.key)[2:]):
        assert "--tls-cert and --tls-key go together" in refused(start_up, *half)


def test_files_that_are_missing(start_up: Any, files: Files, tmp_path: Path) -> None:
    missing = tmp_path / "missing.pem"
    told = f"can't read {missing} (No such file or directory)"
    assert f"--tls-cert: {told}" in refused(start_up, *pair(missing, files.key))
    assert f"--tls-key: {told}" in refused(start_up, *pair(files.certificate, missing))


def test_files_that_are_something_else(start_up: Any, files: Files, tmp_path: Path) -> None:
    swapped = refused(start_up, *pair(files.key, files.certificate))
    assert f"--tls-cert: {files.key} has no certificate in PEM" in swapped
    without = refused(start_up, *pair(files.certificate, files.certificate))
    assert f"--tls-key: {files.certificate} has no private key in PEM" in without
    damaged = tmp_path / "damaged.pem"
    damaged.write_bytes(files.certificate.read_bytes()[:200] + files.certificate.read_bytes()[220:])
    assert "is damaged, or has a password" in refused(start_up, *pair(damaged, files.key))


def test_a_key_of_another_certificate(start_up: Any, files: Files, tmp_path: Path) -> None:
    other = certificates.make(tmp_path)
    line = refused(start_up, *pair(files.certificate, other.key))
    assert f"--tls-key: {other.key} is not the key of {files.certificate}" in line


def test_a_key_with_a_password(start_up: Any, files: Files, tmp_path: Path) -> None:
    locked = tmp_path / "locked.pem"
    locked.write_bytes(private_pem(certificates.new_key(), b"swordfish"))
    assert "has a password" in refused(start_up, *pair(files.certificate, locked))


# One server process


def serve(*flags: str, **env: str) -> str:
    """What it says when it ends, as it does at once without a database."""
    argv = [KINTSUGI, "serve", "--database-url", "postgresql://127.0.0.1:1/none", *flags]
    given = os.environ | env
    ended = subprocess.run(argv, capture_output=True, text=True, env=given, timeout=60, check=False)
    assert ended.returncode == 1
    return ended.stderr


@pytest.mark.parametrize("host", ["0.0.0.0", "kintsugi.example"])
def test_a_server_process_is_not_on_the_network_by_mistake(host: str) -> None:
    for said in (serve("--grpc-host", host), serve(KINTSUGI_GRPC_HOST=host)):
        assert f"--grpc-host {host}: without TLS anybody" in said
        assert "a server process speaks plain gRPC" in said
    assert "can't reach the database" in serve("--grpc-host", host, "--insecure")


def test_a_server_process_on_loopback_needs_no_leave() -> None:
    assert "can't reach the database" in serve("--grpc-host", "[::1]")
