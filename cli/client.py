"""The exception service as the commands need it.

How it is reached is in `connection`, how answers look is in `table`.
"""

from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias

from google.protobuf.field_mask_pb2 import FieldMask
from kintsugi.v1 import exception_pb2 as pb
from kintsugi.v1 import exception_service_pb2 as service
from kintsugi.v1 import location_pb2
from kintsugi.v1.exception_service_pb2_grpc import ExceptionServiceStub

from cli import names
from cli.service_client import ServiceClient

BulkRequest: TypeAlias = service.BulkResolveExceptionsRequest | service.BulkArchiveExceptionsRequest
BulkResponse: TypeAlias = (
    service.BulkResolveExceptionsResponse | service.BulkArchiveExceptionsResponse
)


class Client(ServiceClient[ExceptionServiceStub]):
    """The exception service as methods. Each raises ServiceError."""

    STUB = ExceptionServiceStub

    def get(self, name: str) -> pb.Exception:
        return self._call(self._stub.GetException, service.GetExceptionRequest(name=name))

    def pages(
        self, limit: int, matching: str = "", order_by: str = ""
    ) -> Iterator[service.ListExceptionsResponse]:
        """Pages of what matches in the workspace, with at most `limit` exceptions in all."""
        request = service.ListExceptionsRequest(
            parent=names.workspace(), filter=matching, order_by=order_by
        )
        return self._pages(self._stub.ListExceptions, request, limit)

    def count(self, by: str, matching: str = "") -> Iterator[Any]:
        """Pages of how many match in the workspace, by `group` or by `automation`."""
        parent = names.workspace()
        if by == "group":
            by_group = service.CountExceptionsByGroupRequest(parent=parent, filter=matching)
            return self._pages(self._stub.CountExceptionsByGroup, by_group)
        request = service.CountExceptionsByAutomationRequest(parent=parent, filter=matching)
        return self._pages(self._stub.CountExceptionsByAutomation, request)

    def create(self, exception: pb.Exception) -> pb.Exception:
        parent = exception.run.partition("/automations/")[0]
        request = service.CreateExceptionRequest(parent=parent, exception=exception)
        return self._call(self._stub.CreateException, request)

    def resolve(self, name: str, note: str) -> pb.Exception:
        request = service.ResolveExceptionRequest(name=name, resolution_note=note)
        return self._call(self._stub.ResolveException, request)

    def archive(self, name: str) -> pb.Exception:
        return self._call(self._stub.ArchiveException, service.ArchiveExceptionRequest(name=name))

    def unarchive(self, name: str) -> pb.Exception:
        request = service.UnarchiveExceptionRequest(name=name)
        return self._call(self._stub.UnarchiveException, request)

    def assign(self, name: str, user: str) -> pb.Exception:
        request = service.UpdateExceptionRequest(
            exception=pb.Exception(name=name, assignee=user),
            update_mask=FieldMask(paths=["assignee"]),
        )
        return self._call(self._stub.UpdateException, request)

    def bulk(self, request: BulkRequest) -> BulkResponse:
        """Resolves or archives what matches, or, without `force`, only tells what does."""
        if isinstance(request, service.BulkResolveExceptionsRequest):
            return self._call(self._stub.BulkResolveExceptions, request)
        return self._call(self._stub.BulkArchiveExceptions, request)

    def watch(
        self, matching: str = "", after: str = ""
    ) -> Iterator[service.WatchExceptionsResponse | None]:
        """What changes in the workspace from now on, or after a cursor; see Following."""
        request = service.WatchExceptionsRequest(
            parent=names.workspace(), filter=matching, after=after
        )
        return self._follow(self._stub.WatchExceptions, request)


def new_exception(run: str, message: str, extra: Mapping[str, str]) -> pb.Exception:
    """An exception to raise, without a place in the output."""
    return pb.Exception(run=run, message=message, extra=extra, location=location_pb2.Location())
