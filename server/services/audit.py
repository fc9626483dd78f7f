"""AuditService: each method converts, calls one operation, converts.

Identity, permission, deadlines, errors, logging and metrics are the interceptors'.
"""

from collections.abc import Iterator

import grpc
from kintsugi.v1 import audit_entry_pb2 as pb
from kintsugi.v1 import audit_service_pb2 as service
from kintsugi.v1.audit_service_pb2_grpc import AuditServiceServicer

from server.domain.names import AuditEntryName, WorkspaceName
from server.operations import audit as operations
from server.resources.audit_entry import AUDIT_ENTRY
from server.resources.collection import Collection
from server.store.store import Store
from server.streams.hub import Hub


class AuditService(AuditServiceServicer):
    def __init__(self, store: Store, hub: Hub) -> None:
        self._hub = hub
        self._entries = Collection(store, AUDIT_ENTRY)

    def GetAuditEntry(
        self, request: service.GetAuditEntryRequest, context: grpc.ServicerContext
    ) -> pb.AuditEntry:
        return self._entries.get(AuditEntryName.parse(request.name))

    def ListAuditEntries(
        self, request: service.ListAuditEntriesRequest, context: grpc.ServicerContext
    ) -> service.ListAuditEntriesResponse:
        response = service.ListAuditEntriesResponse()
        parent = WorkspaceName.parse(request.parent)
        self._entries.list(parent, request, response, response.audit_entries)
        return response

    def ExportAuditEntries(
        self, request: service.ExportAuditEntriesRequest, context: grpc.ServicerContext
    ) -> Iterator[service.ExportAuditEntriesResponse]:
        with self._hub.delivery(context.cancel) as delivery:
            yield from operations.export(self._entries, request, delivery.paced)

    def VerifyAuditEntries(
        self, request: service.VerifyAuditEntriesRequest, context: grpc.ServicerContext
    ) -> service.VerifyAuditEntriesResponse:
        return operations.verify(self._entries, request)
