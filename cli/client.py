"""Calls of the exception service: one channel, deadlines, repetition of what found nobody.

How errors read is in `errors`, how answers look is in `table`.
"""

import time
import uuid
from collections.abc import Iterator, Mapping
from typing import TypeVar

import grpc
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.message import Message
from kintsugi.v1 import exception_pb2 as pb
from kintsugi.v1 import exception_service_pb2 as service
from kintsugi.v1 import location_pb2
from kintsugi.v1.exception_service_pb2_grpc import ExceptionServiceStub

from cli import names, settings
from cli.errors import ServiceError

Request = TypeVar("Request", bound=Message)
Answer = TypeVar("Answer", bound=Message)

DEADLINE = 10.0
PAUSES = (0.2, 0.5, 1.0)
"""Seconds before a call that found nobody is made again. All calls may be:
reads change nothing, and a mutation repeats its request id."""

PAGE = 100

_OPTIONS = (
    ("grpc.enable_http_proxy", 0),
    ("grpc.initial_reconnect_backoff_ms", 200),
    ("grpc.max_reconnect_backoff_ms", 5000),
    ("grpc.max_receive_message_length", -1),
)


class Client:
    """The exception service as methods. Each raises ServiceError."""

    def __init__(self, server: settings.Server, token: str = "") -> None:
        self._server = server.address
        self._metadata = (("authorization", f"Bearer {token}"),) if token else ()
        self._stub = ExceptionServiceStub(_channel(server))

    @classmethod
    def from_environment(cls) -> "Client":
        return cls(settings.server(), settings.token())

    def get(self, name: str) -> pb.Exception:
        return self._call(self._stub.GetException, service.GetExceptionRequest(name=name))

    def pages(
        self, limit: int, matching: str = "", order_by: str = ""
    ) -> Iterator[service.ListExceptionsResponse]:
        """Pages of what matches in the workspace, with at most `limit` exceptions in all."""
        request = service.ListExceptionsRequest(
            parent=names.workspace(), filter=matching, order_by=order_by
        )
        while limit > 0:
            request.page_size = min(limit, PAGE)
            page = self._call(self._stub.ListExceptions, request)
            yield page
            limit -= len(page.exceptions)
            request.page_token = page.next_page_token
            if not page.next_page_token:
                return

    def create(self, exception: pb.Exception) -> pb.Exception:
        parent = exception.run.partition("/automations/")[0]
        return self._call(
            self._stub.CreateException,
            service.CreateExceptionRequest(
                parent=parent, exception=exception, request_id=_request_id()
            ),
        )

    def resolve(self, name: str, note: str) -> pb.Exception:
        return self._call(
            self._stub.ResolveException,
            service.ResolveExceptionRequest(
                name=name, resolution_note=note, request_id=_request_id()
            ),
        )

    def archive(self, name: str) -> pb.Exception:
        return self._call(
            self._stub.ArchiveException,
            service.ArchiveExceptionRequest(name=name, request_id=_request_id()),
        )

    def unarchive(self, name: str) -> pb.Exception:
        return self._call(
            self._stub.UnarchiveException,
            service.UnarchiveExceptionRequest(name=name, request_id=_request_id()),
        )

    def assign(self, name: str, user: str) -> pb.Exception:
        return self._call(
            self._stub.UpdateException,
            service.UpdateExceptionRequest(
                exception=pb.Exception(name=name, assignee=user),
                update_mask=FieldMask(paths=["assignee"]),
                request_id=_request_id(),
            ),
        )

    def _call(
        self, method: "grpc.UnaryUnaryMultiCallable[Request, Answer]", request: Request
    ) -> Answer:
        for pause in PAUSES:
            try:
                return self._call_once(method, request)
            except ServiceError as error:
                if not error.found_nobody:
                    raise
            time.sleep(pause)
        return self._call_once(method, request)

    def _call_once(
        self, method: "grpc.UnaryUnaryMultiCallable[Request, Answer]", request: Request
    ) -> Answer:
        try:
            return method(request, timeout=DEADLINE, metadata=self._metadata)
        except grpc.RpcError as error:
            raise ServiceError(error, self._server) from None


def _channel(server: settings.Server) -> grpc.Channel:
    if server.tls:
        credentials = grpc.ssl_channel_credentials()
        return grpc.secure_channel(server.address, credentials, _OPTIONS)
    return grpc.insecure_channel(server.address, _OPTIONS)


def _request_id() -> str:
    return str(uuid.uuid4())


def new_exception(run: str, message: str, extra: Mapping[str, str]) -> pb.Exception:
    """An exception to raise, without a place in the output."""
    return pb.Exception(run=run, message=message, extra=extra, location=location_pb2.Location())
