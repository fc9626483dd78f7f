"""A server process as `kintsugi serve` runs it, with an empty method beside the real ones.

Started by the stage. The empty method is there twice: through the interceptors, and bare. It names
a workspace, as nearly every method does: what its caller may do there is known as for these.
"""

import json
import os
import signal
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
from google.api import annotations_pb2
from google.protobuf import descriptor_pb2, descriptor_pool
from google.protobuf.descriptor import ServiceDescriptor
from google.protobuf.empty_pb2 import Empty
from kintsugi.v1 import options_pb2
from kintsugi.v1.workspace_service_pb2 import GetWorkspaceRequest

from cli.importing import for_good

with for_good():
    from server import logs
    from server.app import Served, Server
    from server.config import Settings

SERVICE = "kintsugi.bench.EmptyService"
PATH = f"/{SERVICE}/Call"


class BenchedServer(Server):
    """The server with the empty method as one more service, behind the same interceptors."""

    def _build(self, served: Sequence[Served]) -> grpc.Server:
        return super()._build([*served, (_described(), _add_empty, None)])


def bare_server(threads: int) -> grpc.Server:
    """The empty method on a grpcio server without interceptors: what Python's gRPC costs alone."""
    server = grpc.server(ThreadPoolExecutor(threads))
    _add_empty(None, server)
    return server


def _described() -> ServiceDescriptor:
    file = descriptor_pb2.FileDescriptorProto(
        name="kintsugi/bench/empty.proto",
        package=SERVICE.rpartition(".")[0],
        dependency=[
            "google/api/annotations.proto",
            "google/protobuf/empty.proto",
            "kintsugi/v1/options.proto",
            "kintsugi/v1/workspace_service.proto",
        ],
    )
    method = file.service.add(name=SERVICE.rpartition(".")[2]).method.add(name="Call")
    method.input_type = f".{GetWorkspaceRequest.DESCRIPTOR.full_name}"
    method.output_type = ".google.protobuf.Empty"
    method.options.Extensions[options_pb2.permission] = "workspaces.read"
    rule = method.options.Extensions[annotations_pb2.http]
    rule.get = "/bench/{name=organizations/*/workspaces/*}"
    pool = descriptor_pool.Default()
    pool.AddSerializedFile(file.SerializeToString())
    service: ServiceDescriptor = pool.FindServiceByName(SERVICE)
    return service


def _add_empty(_: None, server: grpc.Server) -> None:
    handler = grpc.unary_unary_rpc_method_handler(
        lambda _request, _context: Empty(),
        request_deserializer=GetWorkspaceRequest.FromString,
        response_serializer=Empty.SerializeToString,
    )
    handlers: dict[str, Any] = {"Call": handler}
    generic = grpc.method_handlers_generic_handler(SERVICE, handlers)
    server.add_generic_rpc_handlers((generic,))
    server.add_registered_method_handlers(SERVICE, handlers)


def main(database_url: str, ready_file: str) -> None:
    """Serves until SIGTERM; writes both addresses into `ready_file` once it does."""
    settings = Settings(database_url=database_url, grpc_port=0)
    logs.configure(settings.log_level)
    server, bare = BenchedServer(settings), bare_server(settings.threads)
    ports = server.start(), bare.add_insecure_port("127.0.0.1:0")
    bare.start()
    aside = Path(f"{ready_file}.{os.getpid()}")
    aside.write_text(json.dumps([f"127.0.0.1:{port}" for port in ports]))
    aside.replace(ready_file)
    signal.sigwait({signal.SIGTERM, signal.SIGINT})
    server.stop()
    bare.stop(0)


if __name__ == "__main__":
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})
    main(*sys.argv[1:])
