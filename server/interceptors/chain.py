"""The one gRPC interceptor: puts the layers around every handler and gives it its threads.

What the layers do is in modules of their own; their order is said here.
"""

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any, TypeAlias

import grpc

from server import logs
from server.domain.call import Call
from server.domain.errors import Overloaded
from server.interceptors import ledger
from server.interceptors.access import Access
from server.interceptors.admission import AtOnce, CallPool
from server.interceptors.errors import Answered, aborting
from server.interceptors.identity import Callers, identify
from server.interceptors.ledger import HEALTH_CHECK
from server.interceptors.limits import Limits
from server.interceptors.methods import Method
from server.interceptors.observation import Observed
from server.interceptors.refusals import RefusedCalls
from server.interceptors.rpc import Rpc
from server.interceptors.trace import Begin, untraced
from server.interceptors.validation import checked, lenient, validate

Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"


_NOTHING = nullcontext()
_OPEN_SERVICES = ("/grpc.health.v1.Health/", "/grpc.reflection.")
_KINDS = {
    (False, False): ("unary_unary", grpc.unary_unary_rpc_method_handler, "unary"),
    (False, True): ("unary_stream", grpc.unary_stream_rpc_method_handler, "server_stream"),
    (True, False): ("stream_unary", grpc.stream_unary_rpc_method_handler, "client_stream"),
    (True, True): ("stream_stream", grpc.stream_stream_rpc_method_handler, "bidi_stream"),
}


@dataclass(frozen=True)
class Pools:
    """Threads for unary calls and streams, and apart from them for what must always work."""

    unary: CallPool
    streams: CallPool
    health: CallPool

    @property
    def all(self) -> tuple[CallPool, ...]:
        return self.unary, self.streams, self.health


class Chain(grpc.ServerInterceptor):
    """Wraps each handler once, when its method is first called."""

    def __init__(  # noqa: PLR0913 (one a layer)
        self,
        methods: Mapping[str, Method],
        pools: Pools,
        limits: Limits,
        callers: Callers,
        longest_seconds: float,
        *,
        refused: RefusedCalls,
        trace: Begin = untraced,
    ) -> None:
        self._methods = methods
        self._pools = pools
        self._limits = limits
        self._wrapped: dict[str, tuple[CallPool, Handler, Handler]] = {}
        self._callers = callers
        self._longest_seconds = longest_seconds
        self._refused = refused
        self._trace = trace
        self.access = Access(callers)
        ledger.keep()

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
            rpc = self._rpc(path, handler, request, context)
            with Observed(rpc, self._trace), Answered(rpc, self._refused):
                if not rpc.is_stream:
                    with self._begun(rpc, self._check(rpc, self._admitted(rpc))):
                        return behavior(request, context)
                with self._staying(rpc) as given:
                    return behavior(given, context)

        def behave_streaming(behavior: Any, request: Any, context: grpc.ServicerContext) -> Any:
            rpc = self._rpc(path, handler, request, context)
            with (
                Observed(rpc, self._trace),
                Answered(rpc, self._refused),
                self._staying(rpc) as given,
            ):
                yield from behavior(given, context)

        chosen = behave_streaming if handler.response_streaming else behave
        return _rebuilt(handler, chosen, self._limits.request_bytes)

    def _wrap(self, path: str, handler: Handler) -> tuple[CallPool, Handler, Handler]:
        pool = self._pool(path, handler)
        wrapped = _in_pool(self.around(path, handler), pool)
        return pool, wrapped, _refusing(path, _kind(handler)[2], pool)

    def _pool(self, path: str, handler: Handler) -> CallPool:
        if path == HEALTH_CHECK:
            return self._pools.health
        is_stream = handler.request_streaming or handler.response_streaming
        return self._pools.streams if is_stream else self._pools.unary

    def _is_served(self, path: str) -> bool:
        return path in self._methods or path.startswith(_OPEN_SERVICES)

    def _rpc(self, path: str, handler: Handler, request: Any, context: grpc.ServicerContext) -> Rpc:
        one, many = (None, request) if handler.request_streaming else (request, None)
        return Rpc(path, self._methods.get(path), _kind(handler)[2], one, many, context)

    def _admitted(self, rpc: Rpc) -> Call | None:
        """Who calls, once this is one more call of theirs; None where nobody has to say."""
        if rpc.method is None:
            return None
        call = identify(rpc, self._callers, self._refused, self._longest_seconds)
        logs.add(principal=call.principal)  # what is logged from here on says who calls
        self._limits.count_call(call)
        return call

    def _check(self, rpc: Rpc, call: Call | None) -> Call | None:
        validate(rpc)  # before what reads names out of the request
        if rpc.method is None or call is None:
            return None
        return self.access.check(rpc, rpc.method, call)

    def _begun(self, rpc: Rpc, call: Call | None) -> AbstractContextManager[None]:
        """Around the handler: what begins agent work is counted."""
        if call is None or rpc.method is None or not rpc.method.starts_agent_work:
            return _NOTHING
        return self._limits.agent_starts.counted(call)

    @contextmanager
    def _staying(self, rpc: Rpc) -> Iterator[Any]:
        """Gives what the handler of a stream gets: the request, or the client's stream of them."""
        call = self._admitted(rpc)
        with ExitStack() as stack:
            if call is not None:
                stack.enter_context(self._limits.streams.counted(call))
            call = self._check(rpc, call)
            if call is not None and rpc.method is not None:
                stack.enter_context(self.access.watched(rpc, rpc.method, call))
            stack.enter_context(self._begun(rpc, call))
            if rpc.requests is None:
                yield rpc.request
            else:
                yield (checked(rpc.method, request) for request in rpc.requests)


def _kind(handler: Handler) -> tuple[str, Callable[..., Handler], str]:
    """The attribute that holds its callable, what makes such a handler, what metrics call it."""
    return _KINDS[bool(handler.request_streaming), bool(handler.response_streaming)]


def _rebuilt(
    handler: Handler,
    behave: Callable[[Any, Any, grpc.ServicerContext], Any],
    request_bytes: int,
) -> Handler:
    attribute, make, _ = _kind(handler)
    behavior = getattr(handler, attribute)
    return make(
        lambda request, context: behave(behavior, request, context),
        request_deserializer=lenient(handler.request_deserializer or bytes, request_bytes),
        response_serializer=handler.response_serializer,
    )


def _refusing(path: str, kind: str, pool: CallPool) -> Handler:
    """Refuses at once: threads, and the request, cost more than an overloaded server has.

    As a client's stream, whatever the method is, the request is only read by who asks for it.
    """
    end = aborting(Overloaded(pool.calls, pool.limit))

    def refuse(_requests: Any, context: grpc.ServicerContext) -> Any:
        ledger.refused(path, kind)
        end(context)

    return _in_pool(grpc.stream_unary_rpc_method_handler(refuse), AtOnce())


def _in_pool(handler: Handler, pool: ThreadPoolExecutor) -> Handler:
    """Sets the threads on the outermost callable: a wrapper around it would drop the attribute."""
    getattr(handler, _kind(handler)[0]).experimental_thread_pool = pool
    return handler
