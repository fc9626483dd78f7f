"""How calls are made, repeated, and how their errors read."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import pytest
from google.protobuf import any_pb2, duration_pb2
from google.rpc import code_pb2, error_details_pb2, status_pb2
from grpc_status import rpc_status
from kintsugi.v1 import exception_pb2 as pb
from kintsugi.v1 import exception_service_pb2 as service
from kintsugi.v1 import exception_service_pb2_grpc as rpc

from cli import connection
from cli.client import Client
from cli.connection import Connection
from cli.errors import ServiceError
from cli.settings import Server

NAME = "organizations/local/workspaces/default/exceptions/1"


class Service(rpc.ExceptionServiceServicer):
    """Fails as often as it is told to, and remembers what it was asked."""

    def __init__(self) -> None:
        self.failures: list[status_pb2.Status] = []
        self.requests: list[Any] = []
        self.metadata: dict[str, Any] = {}

    def answer(self, request: Any, context: grpc.ServicerContext) -> pb.Exception:
        self.requests.append(request)
        self.metadata = {pair[0]: pair[1] for pair in context.invocation_metadata()}
        if self.failures:
            context.abort_with_status(rpc_status.to_status(self.failures.pop(0)))
        return pb.Exception(name=NAME)

    CreateException = GetException = ResolveException = UpdateException = answer
    ArchiveException = UnarchiveException = answer
    BatchCreateExceptions = answer  # type: ignore[assignment]

    def ListExceptions(  # noqa: N802 (the name is the service's)
        self, request: service.ListExceptionsRequest, context: grpc.ServicerContext
    ) -> service.ListExceptionsResponse:
        """Pages of 60 without end."""
        self.requests.append(request.page_size)
        found = [pb.Exception(name=NAME)] * min(request.page_size, 60)
        return service.ListExceptionsResponse(exceptions=found, next_page_token="more")


@pytest.fixture
def fake() -> Service:
    return Service()


@pytest.fixture
def server(fake: Service, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setattr(connection, "PAUSES", (0.01, 0.01))
    running = grpc.server(ThreadPoolExecutor(2))
    rpc.add_ExceptionServiceServicer_to_server(fake, running)
    port = running.add_insecure_port("127.0.0.1:0")
    running.start()
    yield Server(f"127.0.0.1:{port}")
    running.stop(None)


def status(code: "code_pb2.Code.ValueType", message: str, *details: Any) -> status_pb2.Status:
    packed = [any_pb2.Any() for _ in details]
    for one, detail in zip(packed, details, strict=True):
        one.Pack(detail)
    return status_pb2.Status(code=code, message=message, details=packed)


AWAY = status(code_pb2.UNAVAILABLE, "starting")


@pytest.mark.parametrize(
    ("method", "arguments"),
    [
        ("create", (pb.Exception(run="w/automations/a/runs/1"),)),
        ("resolve", (NAME, "note")),
        ("archive", (NAME,)),
        ("unarchive", (NAME,)),
        ("assign", (NAME, "users/ada")),
    ],
)
def test_a_change_that_found_nobody_is_repeated_with_the_same_request_id(
    fake: Service, server: Server, method: str, arguments: tuple[Any, ...]
) -> None:
    fake.failures = [AWAY, AWAY]
    assert getattr(Client(Connection(server)), method)(*arguments).name == NAME
    first, second, third = fake.requests
    assert first == second == third
    assert len(first.request_id) == 36


def test_two_changes_have_different_request_ids(fake: Service, server: Server) -> None:
    client = Client(Connection(server))
    client.resolve(NAME, "")
    client.resolve(NAME, "")
    assert len({request.request_id for request in fake.requests}) == 2


def test_what_was_refused_is_not_repeated(fake: Service, server: Server) -> None:
    fake.failures = [status(code_pb2.NOT_FOUND, "1 doesn't exist")]
    with pytest.raises(ServiceError):
        Client(Connection(server)).get(NAME)
    assert len(fake.requests) == 1


def test_the_token_goes_along_where_there_is_one(fake: Service, server: Server) -> None:
    Client(Connection(server, "kin_abc")).get(NAME)
    assert fake.metadata["authorization"] == "Bearer kin_abc"
    Client(Connection(server)).get(NAME)
    assert "authorization" not in fake.metadata


def violation(field: str, what: str) -> error_details_pb2.BadRequest.FieldViolation:
    return error_details_pb2.BadRequest.FieldViolation(field=field, description=what)


INFO = error_details_pb2.ErrorInfo(domain="kintsugi", reason="INVALID_FIELDS")
FIELDS = error_details_pb2.BadRequest(
    field_violations=[violation("a", "is required"), violation("b", "is too long")]
)
FAILED = error_details_pb2.PreconditionFailure(
    violations=[error_details_pb2.PreconditionFailure.Violation(description="is RESOLVED")]
)
LATER = error_details_pb2.RetryInfo(retry_delay=duration_pb2.Duration(seconds=2))


@pytest.mark.parametrize(
    ("failure", "told"),
    [
        (status(code_pb2.NOT_FOUND, "x doesn't exist", INFO), "x doesn't exist"),
        (
            status(code_pb2.INVALID_ARGUMENT, "a: is required; b: is too long", INFO, FIELDS),
            "a: is required\n  b: is too long",
        ),
        (
            status(code_pb2.INVALID_ARGUMENT, "two faults", FIELDS),
            "two faults\n  a: is required\n  b: is too long",
        ),
        (status(code_pb2.FAILED_PRECONDITION, "is RESOLVED", FAILED), "is RESOLVED"),
        (status(code_pb2.RESOURCE_EXHAUSTED, "full", LATER), "full\n  try again in 2 s"),
    ],
)
def test_an_error_reads_as_its_message_with_the_hints_of_the_server(
    fake: Service, server: Server, failure: status_pb2.Status, told: str
) -> None:
    fake.failures = [failure]
    with pytest.raises(ServiceError) as raised:
        Client(Connection(server)).get(NAME)
    assert raised.value.message == told


def test_pages_are_asked_for_until_the_limit(server: Server, fake: Service) -> None:
    pages = list(Client(Connection(server)).pages(130))
    assert [len(page.exceptions) for page in pages] == [60, 60, 10]
    assert fake.requests == [100, 70, 10]
