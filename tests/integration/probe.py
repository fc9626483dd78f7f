"""A service with a method of each kind of RPC, to see what the interceptors do around them."""

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, cast

import grpc
from google.api import annotations_pb2
from google.protobuf import descriptor_pb2, descriptor_pool
from google.protobuf.descriptor import ServiceDescriptor
from google.protobuf.wrappers_pb2 import StringValue
from kintsugi.v1 import options_pb2

from server.domain.access import Membership
from server.domain.rates import Rate
from server.interceptors.admission import CallPool, StreamLimit
from server.interceptors.buckets import Buckets
from server.interceptors.chain import Chain, Pools
from server.interceptors.limits import Limits
from server.interceptors.methods import declared_methods
from server.interceptors.refusals import RefusedCalls
from server.operations.agent_starts import AgentStarts
from server.operations.authentication import Caller
from tests.identity import authorized

KINDS = {
    "UnaryUnary": (False, False),
    "UnaryStream": (False, True),
    "StreamUnary": (True, False),
    "StreamStream": (True, True),
}
HANDLERS: dict[str, Any] = {
    "UnaryUnary": grpc.unary_unary_rpc_method_handler,
    "UnaryStream": grpc.unary_stream_rpc_method_handler,
    "StreamUnary": grpc.stream_unary_rpc_method_handler,
    "StreamStream": grpc.stream_stream_rpc_method_handler,
}
SERVICE = "probe.Probe"
WORKSPACE = "organizations/o/workspaces/w"
ADA = Membership("0", frozenset(["probe.use"]))
REQUEST_BYTES = 100_000
OFTEN = Rate(calls=1_000_000, burst=1000)
NO_AGENT_STARTS = cast("AgentStarts", None)
"""For a server none of whose methods starts agent work."""

Behavior = Callable[[], str]


def service(
    *, permission: str, feature: str = "", starts_agent_work: bool = False
) -> ServiceDescriptor:
    """The probe's descriptor; an empty permission is as good as none.

    With a feature, a request says which workspace it is about.
    """
    file = descriptor_pb2.FileDescriptorProto(
        name="probe.proto", package="probe", dependency=["google/protobuf/wrappers.proto"]
    )
    probe = file.service.add(name="Probe")
    for name, (client_streams, server_streams) in KINDS.items():
        method = probe.method.add(
            name=name,
            input_type=".google.protobuf.StringValue",
            output_type=".google.protobuf.StringValue",
            client_streaming=client_streams,
            server_streaming=server_streams,
        )
        method.options.Extensions[options_pb2.permission] = permission
        method.options.Extensions[options_pb2.starts_agent_work] = starts_agent_work
        if feature:
            method.options.Extensions[options_pb2.feature] = feature
            method.options.Extensions[annotations_pb2.http].get = f"/{{value={WORKSPACE}}}"
    pool = descriptor_pool.DescriptorPool()
    wrappers = descriptor_pb2.FileDescriptorProto()
    StringValue.DESCRIPTOR.file.CopyToProto(wrappers)
    pool.Add(wrappers)
    pool.Add(file)
    return pool.FindServiceByName(SERVICE)


class Everybody:
    """Whoever calls is `users/ada` and may use the probe."""

    def caller(self, token: str, *, since: float = 0.0) -> Caller:
        return Caller("users/ada", "t", {WORKSPACE: ADA}, is_everywhere=False, found=since)


class Probe:
    """A running server whose four methods all answer what `behavior` answers.

    With `agent_starts` all of them start agent work.
    """

    def __init__(
        self,
        behavior: Behavior,
        *,
        threads: int = 2,
        limit: int = 4,
        rate: Rate = OFTEN,
        agent_starts: AgentStarts | None = None,
        feature: str = "",
    ) -> None:
        self.pools = Pools(
            unary=CallPool("calls", threads, limit),
            streams=CallPool("streams", threads, limit),
            health=CallPool("health checks", 1, 100),
        )
        starts = agent_starts is not None
        probe = service(permission="probe.use", feature=feature, starts_agent_work=starts)
        counted = agent_starts or NO_AGENT_STARTS
        limits = Limits(Buckets(rate), StreamLimit(limit), counted, REQUEST_BYTES)
        self.refused = RefusedCalls()
        methods = declared_methods([probe])
        chain = Chain(methods, self.pools, limits, Everybody(), 30, refused=self.refused)
        self._server = grpc.server(self.pools.unary, interceptors=[chain])
        self._server.add_generic_rpc_handlers([_handlers(behavior)])
        port = self._server.add_insecure_port("127.0.0.1:0")
        self._server.start()
        self.channel = authorized(grpc.insecure_channel(f"127.0.0.1:{port}"))
        self._callers = ThreadPoolExecutor(64)

    def call(
        self,
        kind: str,
        text: str = "",
        timeout: float = 10,
        metadata: Sequence[tuple[str, str]] = (),
    ) -> str:
        """Calls the method of that kind; the answer, or the error of the RPC."""
        client_streams, server_streams = KINDS[kind]
        name = (
            f"{'stream' if client_streams else 'unary'}_{'stream' if server_streams else 'unary'}"
        )
        method = getattr(self.channel, name)(
            f"/{SERVICE}/{kind}", StringValue.SerializeToString, StringValue.FromString
        )
        request = StringValue(value=text)
        given = iter([request]) if client_streams else request
        answer = method(given, timeout=timeout, metadata=metadata)
        [only] = answer if server_streams else [answer]
        return str(only.value)

    def start_call(self, kind: str, text: str = "") -> Any:
        return self._callers.submit(self.call, kind, text)

    def close(self) -> None:
        self.channel.close()
        self._server.stop(0).wait()
        self._callers.shutdown()


class Gate:
    """A behavior that waits to be let through, and counts who came as far."""

    def __init__(self) -> None:
        self.reached = 0
        self.opened = threading.Event()

    def __call__(self) -> str:
        self.reached += 1
        self.opened.wait(20)
        return threading.current_thread().name


def _handlers(behavior: Behavior) -> grpc.GenericRpcHandler:
    def unary(request: Any, context: grpc.ServicerContext) -> StringValue:
        return StringValue(value=behavior())

    def stream(request: Any, context: grpc.ServicerContext) -> Iterator[StringValue]:
        yield StringValue(value=behavior())

    methods = {
        kind: HANDLERS[kind](
            stream if server_streams else unary,
            request_deserializer=StringValue.FromString,
            response_serializer=StringValue.SerializeToString,
        )
        for kind, (_, server_streams) in KINDS.items()
    }
    return grpc.method_handlers_generic_handler(SERVICE, methods)
