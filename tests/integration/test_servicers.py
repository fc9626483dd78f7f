"""The servicers by themselves, in the interceptors but without a network."""

from collections.abc import Iterator
from typing import Any

import grpc
import grpc_testing
import pytest
from kintsugi.v1 import exception_pb2 as pb
from kintsugi.v1 import exception_service_pb2 as service

from server import app
from server.interceptors.admission import CallPool
from server.interceptors.chain import Chain, Pools
from server.interceptors.methods import declared_methods
from server.store.connection import Database
from server.store.store import Store
from tests.integration.client import WORKSPACE, new_exception

SERVICE = service.DESCRIPTOR.services_by_name["ExceptionService"]


class Intercepted:
    """A servicer whose methods have the interceptors around them."""

    def __init__(self, chain: Chain, servicer: Any) -> None:
        self._chain = chain
        self._servicer = servicer

    def __getattr__(self, method: str) -> Any:
        handler = grpc.unary_unary_rpc_method_handler(getattr(self._servicer, method))
        wrapped = self._chain.around(f"/{SERVICE.full_name}/{method}", handler).unary_unary

        def behave(request: Any, context: Any) -> Any:
            # What grpcio's own contexts know and these don't.
            context.code = lambda: None
            context.peer = lambda: "unix:"
            return wrapped(request, context)

        return behave


Call = Any


@pytest.fixture
def call(database: str) -> Iterator[Call]:
    """Calls a method by name: its answer and the status code."""
    connections = Database(database, connections=2)
    served = app.services(Store(connections))
    pool = CallPool("calls", 1, 1)
    methods = declared_methods(descriptor for descriptor, _, _ in served)
    chain = Chain(methods, Pools(pool, pool, pool, pool), longest_seconds=30)
    servicers = {descriptor: Intercepted(chain, servicer) for descriptor, _, servicer in served}
    server = grpc_testing.server_from_dictionary(servicers, grpc_testing.strict_real_time())

    def invoke(method: str, request: Any) -> tuple[Any, Any]:
        rpc = server.invoke_unary_unary(SERVICE.methods_by_name[method], (), request, None)
        answer, _, code, _ = rpc.termination()
        return answer, code

    yield invoke
    connections.close()


def test_what_is_raised_can_be_read_and_resolved(call: Call) -> None:
    create = service.CreateExceptionRequest(parent=WORKSPACE, exception=new_exception())
    raised, code = call("CreateException", create)
    assert code is grpc.StatusCode.OK
    read, _ = call("GetException", service.GetExceptionRequest(name=raised.name))
    assert read == raised
    resolved, _ = call("ResolveException", service.ResolveExceptionRequest(name=raised.name))
    assert resolved.state == pb.EXCEPTION_STATE_RESOLVED
    listed, _ = call("ListExceptions", service.ListExceptionsRequest(parent=WORKSPACE))
    assert list(listed.exceptions) == [resolved]


@pytest.mark.parametrize(
    ("name", "code"),
    [
        (f"{WORKSPACE}/exceptions/unknown", grpc.StatusCode.NOT_FOUND),
        ("nonsense", grpc.StatusCode.INVALID_ARGUMENT),
    ],
)
def test_an_error_has_its_status(call: Call, name: str, code: grpc.StatusCode) -> None:
    answer = call("GetException", service.GetExceptionRequest(name=name))
    assert answer == (None, code)
