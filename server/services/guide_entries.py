"""GuideEntryService: each method converts, calls one operation, converts.

Identity, permission, deadlines, errors, logging and metrics are the interceptors'.
"""

import grpc
from kintsugi.v1 import guide_entry_pb2 as pb
from kintsugi.v1 import guide_entry_service_pb2 as service
from kintsugi.v1.guide_entry_service_pb2_grpc import GuideEntryServiceServicer

from server.domain.names import (
    AnyAutomationName,
    AutomationName,
    GuideEntryName,
    parse_automations,
)
from server.operations import guide_entries as operations
from server.resources.collection import Collection
from server.resources.guide_entry import GUIDE_ENTRY, GUIDE_ENTRY_ANYWHERE, GUIDE_ENTRY_REVISION
from server.store.store import Store


class GuideEntryService(GuideEntryServiceServicer):
    def __init__(self, store: Store) -> None:
        self._entries = Collection(store, GUIDE_ENTRY)
        self._anywhere = Collection(store, GUIDE_ENTRY_ANYWHERE)
        self._revisions = Collection(store, GUIDE_ENTRY_REVISION)

    def CreateGuideEntry(
        self, request: service.CreateGuideEntryRequest, context: grpc.ServicerContext
    ) -> pb.GuideEntry:
        return operations.create(self._entries, request)

    def GetGuideEntry(
        self, request: service.GetGuideEntryRequest, context: grpc.ServicerContext
    ) -> pb.GuideEntry:
        name = GuideEntryName.parse(request.name)
        return self._entries_of(name.parent).get(name)

    def ListGuideEntries(
        self, request: service.ListGuideEntriesRequest, context: grpc.ServicerContext
    ) -> service.ListGuideEntriesResponse:
        response = service.ListGuideEntriesResponse()
        parent = parse_automations(request.parent)
        self._entries_of(parent).list(parent, request, response, response.guide_entries)
        return response

    def UpdateGuideEntry(
        self, request: service.UpdateGuideEntryRequest, context: grpc.ServicerContext
    ) -> pb.GuideEntry:
        return operations.update(self._entries, request)

    def DeleteGuideEntry(
        self, request: service.DeleteGuideEntryRequest, context: grpc.ServicerContext
    ) -> pb.GuideEntry:
        return operations.delete(self._entries, request)

    def UndeleteGuideEntry(
        self, request: service.UndeleteGuideEntryRequest, context: grpc.ServicerContext
    ) -> pb.GuideEntry:
        return operations.undelete(self._entries, request)

    def ApproveGuideEntry(
        self, request: service.ApproveGuideEntryRequest, context: grpc.ServicerContext
    ) -> pb.GuideEntry:
        return operations.approve(self._entries, request)

    def RejectGuideEntry(
        self, request: service.RejectGuideEntryRequest, context: grpc.ServicerContext
    ) -> pb.GuideEntry:
        return operations.reject(self._entries, request)

    def ListGuideEntryRevisions(
        self, request: service.ListGuideEntryRevisionsRequest, context: grpc.ServicerContext
    ) -> service.ListGuideEntryRevisionsResponse:
        response = service.ListGuideEntryRevisionsResponse()
        name = GuideEntryName.parse(request.name)
        self._entries_of(name.parent).get(name)
        self._revisions.list(name, request, response, response.guide_entries)
        return response

    def _entries_of(
        self, parent: AutomationName | AnyAutomationName
    ) -> Collection[pb.GuideEntry, GuideEntryName]:
        return self._anywhere if isinstance(parent, AnyAutomationName) else self._entries
