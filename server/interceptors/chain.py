"""The one gRPC interceptor: puts the layers around every handler and gives it its threads.

What the layers do is in modules of their own; their order is said here.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeAlias

import grpc

from server.domain.errors import Overloaded
from server.interceptors.admission import CallPool, StreamLimit
from server.interceptors.errors import abort, errors
from server.interceptors.identity import identity
from server.interceptors.methods import Method
from server.interceptors.observation import HEALTH_CHECK, observation
from server.interceptors.refusals import RefusedCalls
from server.interceptors.rpc import Rpc
from server.interceptors.validation import checked, lenient, validation

Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"


_OPEN_SERVICES = ("/grpc.health.v1.Health/", "/grpc.reflection.")
_KINDS = {
    (False, False): ("unary_unary", grpc.unary_unary_rpc_method_handler),
    (False, True): ("unary_stream", grpc.unary_stream_rpc_method_handler),
    (True, False): ("stream_unary", grpc.stream_unary_rpc_method_handler),
    (True, True): ("stream_stream", grpc.stream_stream_rpc_method_handler),
}


@dataclass(frozen=True)
class Pools:
    """Threads for unary calls and streams, and apart from them for what must always work."""

    unary: CallPool
    streams: CallPool
    health: CallPool
    refusals: CallPool


class Chain(grpc.ServerInterceptor):
    """Wraps each handler once, when its method is first called."""

    def __init__(
        self,
        methods: Mapping[str, Method],
        pools: Pools,
        streams: StreamLimit,
        longest_seconds: float,
        refused: RefusedCalls,
    ) -> None:
        self._methods = methods
        self._pools = pools
        self._streams = streams
        self._wrapped: dict[str, tuple[CallPool, Handler, Handler]] = {}
        self._identity = identity(longest_seconds)
        self._refused = refused

    def intercept_service(
        self, continuation: Any, handler_call_details: grpc.HandlerCallDetails
    ) -> Any:
        """Runs in the one serving thread, so it only looks up: a slow line here delays all."""
        path = handler_call_details.method
        if path not in self._wrapped:
            handler = continuation(handler_call_details) if self._is_served(path) else None
            if handler is None:
                return None
            self._wrapped[path] = self._wrap(path, handler)
        pool, wrapped, refusing = self._wrapped[path]
        return refusing if pool.is_full else wrapped

    def around(self, path: str, handler: Handler) -> Handler:
        """The handler with all layers around it, and requests that can't be read let through."""

        def behave(behavior: Any, request: Any, context: grpc.ServicerContext) -> Any:
            with self._inside(self._rpc(path, handler, request, context)) as given:
                return behavior(given, context)

        def behave_streaming(behavior: Any, request: Any, context: grpc.ServicerContext) -> Any:
            with self._inside(self._rpc(path, handler, request, context)) as given:
                yield from behavior(given, context)

        return _rebuilt(handler, behave_streaming if handler.response_streaming else behave)

    def _wrap(self, path: str, handler: Handler) -> tuple[CallPool, Handler, Handler]:
        pool = self._pool(path, handler)
        wrapped = _in_pool(self.around(path, handler), pool)
        return pool, wrapped, _in_pool(self._refusing(path, handler, pool), self._pools.refusals)

    def _refusing(self, path: str, handler: Handler, pool: CallPool) -> Handler:
        def refuse(_behavior: Any, request: Any, context: grpc.ServicerContext) -> Any:
            with observation(self._rpc(path, handler, request, context)):
                abort(context, Overloaded(pool.calls, pool.limit))

        return _rebuilt(handler, refuse)

    def _pool(self, path: str, handler: Handler) -> CallPool:
        if path == HEALTH_CHECK:
            return self._pools.health
        is_stream = handler.request_streaming or handler.response_streaming
        return self._pools.streams if is_stream else self._pools.unary

    def _is_served(self, path: str) -> bool:
        return path in self._methods or path.startswith(_OPEN_SERVICES)

    def _rpc(self, path: str, handler: Handler, request: Any, context: grpc.ServicerContext) -> Rpc:
        one, many = (None, request) if handler.request_streaming else (request, None)
        is_stream = handler.request_streaming or handler.response_streaming
        return Rpc(path, self._methods.get(path), bool(is_stream), one, many, context)

    @contextmanager
    def _inside(self, rpc: Rpc) -> Iterator[Any]:
        """Gives what the handler gets: the request, or the client's stream of them."""
        with (
            observation(rpc),  # outermost, so that it sees every status
            errors(rpc),  # turns what the layers below raise into a status
            self._identity(rpc),  # who calls and until when; what follows may use it
            self._refused.layer(rpc),  # knows who is refused by what follows
            self._streams.layer(rpc),  # here a stream is one of somebody's
            validation(rpc),  # last, so that nothing about the API is told to strangers
        ):
            if rpc.requests is None:
                yield rpc.request
            else:
                yield (checked(rpc.method, request) for request in rpc.requests)


def _rebuilt(handler: Handler, behave: Callable[[Any, Any, grpc.ServicerContext], Any]) -> Handler:
    kind, make = _KINDS[bool(handler.request_streaming), bool(handler.response_streaming)]
    behavior = getattr(handler, kind)
    return make(
        lambda request, context: behave(behavior, request, context),
        request_deserializer=lenient(handler.request_deserializer or bytes),
        response_serializer=handler.response_serializer,
    )


def _in_pool(handler: Handler, pool: CallPool) -> Handler:
    """Sets the threads on the outermost callable: a wrapper around it would drop the attribute."""
    kind, _ = _KINDS[bool(handler.request_streaming), bool(handler.response_streaming)]
    getattr(handler, kind).experimental_thread_pool = pool
    return handler
