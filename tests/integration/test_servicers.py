"""The servicers by themselves, in the interceptors but without a network."""

from collections.abc import Iterator
from typing import Any

import grpc
import grpc_testing
import pytest
from kintsugi.v1 import event_pb2, event_service_pb2
from kintsugi.v1 import exception_pb2 as pb
from kintsugi.v1 import exception_service_pb2 as service

from server import app
from server.config import Settings
from server.interceptors.admission import CallPool, StreamLimit
from server.interceptors.buckets import Buckets
from server.interceptors.chain import Chain, Pools
from server.interceptors.limits import Limits
from server.interceptors.methods import declared_methods
from server.interceptors.refusals import RefusedCalls
from server.operations.authentication import Authenticator
from server.store.connection import Database
from server.store.notifier import Notifier
from server.store.store import Store
from server.streams.hub import Hub
from server.streams.reader import Patience
from tests.identity import TOKEN
from tests.integration.client import WORKSPACE, new_exception, new_thread
from tests.integration.probe import NO_AGENT_STARTS, OFTEN, REQUEST_BYTES

METHODS = {
    name: method
    for file, name in ((service, "ExceptionService"), (event_service_pb2, "EventService"))
    for name, method in file.DESCRIPTOR.services_by_name[name].methods_by_name.items()
}


class Intercepted:
    """A servicer whose methods have the interceptors around them."""

    def __init__(self, chain: Chain, service: str, servicer: Any) -> None:
        self._chain = chain
        self._service = service
        self._servicer = servicer

    def __getattr__(self, method: str) -> Any:
        handler = grpc.unary_unary_rpc_method_handler(getattr(self._servicer, method))
        wrapped = self._chain.around(f"/{self._service}/{method}", handler).unary_unary

        def behave(request: Any, context: Any) -> Any:
            # What grpcio's own contexts know and these don't.
            context.code = lambda: None
            context.peer = lambda: "unix:"
            return wrapped(request, context)

        return behave


Call = Any

AUTHORIZED = (("authorization", f"Bearer {TOKEN}"),)


@pytest.fixture
def call(database: str) -> Iterator[Call]:
    """Calls a method by name: its answer and the status code."""
    connections = Database(database, connections=2)
    store = Store(connections, Notifier(database))
    served = app.services(
        store, Hub(store, database, Patience(10, 15)), Settings(database_url=database)
    )
    pool = CallPool("calls", 1, 1)
    methods = declared_methods(descriptor for descriptor, _, _ in served)
    limits = Limits(Buckets(OFTEN), StreamLimit(1), NO_AGENT_STARTS, REQUEST_BYTES)
    pools, callers = Pools(pool, pool, pool), Authenticator(store)
    chain = Chain(methods, pools, limits, callers, 30, refused=RefusedCalls())
    servicers = {
        descriptor: Intercepted(chain, descriptor.full_name, servicer)
        for descriptor, _, servicer in served
    }
    server = grpc_testing.server_from_dictionary(servicers, grpc_testing.strict_real_time())

    def invoke(method: str, request: Any) -> tuple[Any, Any]:
        rpc = server.invoke_unary_unary(METHODS[method], AUTHORIZED, request, None)
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


def test_what_is_said_can_be_read_and_listed(call: Call) -> None:
    thread, event = new_thread(), event_pb2.Event(user_message={"content": "Hello"})
    create = event_service_pb2.CreateEventRequest(parent=thread, event=event)
    said, code = call("CreateEvent", create)
    assert code is grpc.StatusCode.OK
    assert said.user_message.content == "Hello"
    read, _ = call("GetEvent", event_service_pb2.GetEventRequest(name=said.name))
    listed, _ = call("ListEvents", event_service_pb2.ListEventsRequest(parent=thread))
    assert list(listed.events) == [read] == [said]


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
