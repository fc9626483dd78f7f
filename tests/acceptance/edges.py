"""Envoys before servers of a test's own: envoy.yaml is the real one, what stands behind it is not.

For what a real server does only by chance: dying, being slow, answering the odd thing.
"""

import signal
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
from grpc_health.v1.health_pb2 import HealthCheckResponse
from kintsugi.v1.error_reason_pb2 import ErrorReason

from server.launch import child, envoy
from server.launch.child import Child


class Edges:
    """Starts Envoys, with some text of the configuration replaced; `stop` ends them all."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.started: list[Child] = []

    def start(self, servers: list[str], *replaced: tuple[str, str], port: int = 0) -> str:
        """The address of a new one before `servers`, once it has found one healthy.

        Port 0 is one that is free.
        """
        folder = self.folder / str(len(self.started))
        folder.mkdir()
        argv = envoy.prepare(folder, envoy.Listener(port), servers)
        config = folder / envoy.CONFIG
        for old, new in replaced:
            assert old in config.read_text()
            config.write_text(config.read_text().replace(old, new))
        process = Child("envoy", argv, log=folder / "envoy.log")
        process.start()
        self.started.append(process)
        return f"127.0.0.1:{envoy.bound_port(folder, 30)}"

    def admin(self) -> str:
        """The admin address of the one that was started last."""
        return (self.folder / str(len(self.started) - 1) / envoy.ADMIN).read_text().strip()

    def stop(self) -> None:
        child.stop(self.started, ((signal.SIGTERM, 5), (signal.SIGKILL, 5)))


HEALTH_CHECK = "/grpc.health.v1.Health/Check"


def healthy() -> Any:
    """The handler of the health checks that Envoy makes."""
    alive = HealthCheckResponse(status=HealthCheckResponse.SERVING).SerializeToString()
    return grpc.unary_unary_rpc_method_handler(lambda request, context: alive)


def serve(handler: grpc.GenericRpcHandler, *, threads: int = 8) -> tuple[grpc.Server, str]:
    """A server that answers everything by `handler`, and its address."""
    options = [("grpc.so_reuseport", 0), ("grpc.max_metadata_size", 65536)]
    server = grpc.server(ThreadPoolExecutor(threads), handlers=[handler], options=options)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    return server, f"127.0.0.1:{port}"


def reason(status: dict[str, Any]) -> str:
    """Of the one ErrorInfo in an error, which is a `google.rpc.Status` as JSON."""
    [info] = [each for each in status["details"] if each["@type"].endswith(".ErrorInfo")]
    assert set(info) == {"@type", "reason", "domain", "metadata"}
    assert info["domain"] == "kintsugi"
    assert ErrorReason.Value(info["reason"])
    return str(info["reason"])
