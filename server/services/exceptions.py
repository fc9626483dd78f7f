"""ExceptionService: each method converts, calls one operation, converts.

Identity, permission, deadlines, errors, logging and metrics are the interceptors'.
"""

from collections.abc import Iterator

import grpc
from kintsugi.v1 import exception_group_pb2
from kintsugi.v1 import exception_pb2 as pb
from kintsugi.v1 import exception_service_pb2 as service
from kintsugi.v1.exception_service_pb2_grpc import ExceptionServiceServicer

from server.domain.names import ExceptionGroupName, ExceptionName, WorkspaceName
from server.operations import bulk, exception_counts
from server.operations import exceptions as operations
from server.operations.raising import Raising
from server.resources.collection import Collection
from server.resources.exception import EXCEPTION
from server.resources.exception_group import EXCEPTION_GROUP
from server.store.store import Store
from server.streams.follow import watch_exceptions
from server.streams.hub import Hub


class ExceptionService(ExceptionServiceServicer):
    def __init__(self, store: Store, hub: Hub) -> None:
        self._store = store
        self._hub = hub
        self._exceptions = Collection(store, EXCEPTION)
        self._raising = Raising(self._exceptions)
        self._groups = Collection(store, EXCEPTION_GROUP)

    def CreateException(
        self, request: service.CreateExceptionRequest, context: grpc.ServicerContext
    ) -> pb.Exception:
        return self._raising.create(request)

    def BatchCreateExceptions(
        self, request: service.BatchCreateExceptionsRequest, context: grpc.ServicerContext
    ) -> service.BatchCreateExceptionsResponse:
        return self._raising.batch_create(request)

    def GetException(
        self, request: service.GetExceptionRequest, context: grpc.ServicerContext
    ) -> pb.Exception:
        return self._exceptions.get(ExceptionName.parse(request.name))

    def ListExceptions(
        self, request: service.ListExceptionsRequest, context: grpc.ServicerContext
    ) -> service.ListExceptionsResponse:
        response = service.ListExceptionsResponse()
        parent = WorkspaceName.parse(request.parent)
        self._exceptions.list(parent, request, response, response.exceptions)
        return response

    def WatchExceptions(
        self, request: service.WatchExceptionsRequest, context: grpc.ServicerContext
    ) -> Iterator[service.WatchExceptionsResponse]:
        return watch_exceptions(self._hub, request, context)

    def UpdateException(
        self, request: service.UpdateExceptionRequest, context: grpc.ServicerContext
    ) -> pb.Exception:
        return operations.update(self._exceptions, request)

    def ResolveException(
        self, request: service.ResolveExceptionRequest, context: grpc.ServicerContext
    ) -> pb.Exception:
        return operations.resolve(self._exceptions, request)

    def ArchiveException(
        self, request: service.ArchiveExceptionRequest, context: grpc.ServicerContext
    ) -> pb.Exception:
        return operations.archive(self._exceptions, request)

    def UnarchiveException(
        self, request: service.UnarchiveExceptionRequest, context: grpc.ServicerContext
    ) -> pb.Exception:
        return operations.unarchive(self._exceptions, request)

    def BulkResolveExceptions(
        self, request: service.BulkResolveExceptionsRequest, context: grpc.ServicerContext
    ) -> service.BulkResolveExceptionsResponse:
        return bulk.bulk_resolve(self._exceptions, request)

    def BulkArchiveExceptions(
        self, request: service.BulkArchiveExceptionsRequest, context: grpc.ServicerContext
    ) -> service.BulkArchiveExceptionsResponse:
        return bulk.bulk_archive(self._exceptions, request)

    def CountExceptionsByGroup(
        self, request: service.CountExceptionsByGroupRequest, context: grpc.ServicerContext
    ) -> service.CountExceptionsByGroupResponse:
        return exception_counts.by_groups(self._store, request)

    def CountExceptionsByAutomation(
        self, request: service.CountExceptionsByAutomationRequest, context: grpc.ServicerContext
    ) -> service.CountExceptionsByAutomationResponse:
        return exception_counts.by_automations(self._store, request)

    def ListExceptionGroups(
        self, request: service.ListExceptionGroupsRequest, context: grpc.ServicerContext
    ) -> service.ListExceptionGroupsResponse:
        response = service.ListExceptionGroupsResponse()
        parent = WorkspaceName.parse(request.parent)
        self._groups.list(parent, request, response, response.groups)
        return response

    def UpdateExceptionGroup(
        self, request: service.UpdateExceptionGroupRequest, context: grpc.ServicerContext
    ) -> exception_group_pb2.ExceptionGroup:
        name = ExceptionGroupName.parse(request.exception_group.name)
        return self._groups.update(name, request.exception_group, request)
