"""The guide entry service as the commands need it.

How it is reached is in `connection`, how answers look is in `guide_table`.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import click
from google.protobuf.field_mask_pb2 import FieldMask
from kintsugi.v1 import guide_entry_pb2 as pb
from kintsugi.v1 import guide_entry_service_pb2 as service
from kintsugi.v1.guide_entry_service_pb2_grpc import GuideEntryServiceStub

from cli.service_client import ServiceClient


class GuideClient(ServiceClient[GuideEntryServiceStub]):
    """The guide entry service as methods. Each raises ServiceError.

    Names may leave the automation open, with `-`, where an entry is read.
    """

    STUB = GuideEntryServiceStub

    def get(self, name: str) -> pb.GuideEntry:
        return self._call(self._stub.GetGuideEntry, service.GetGuideEntryRequest(name=name))

    def pages(
        self, limit: int, asked: service.ListGuideEntriesRequest
    ) -> Iterator[service.ListGuideEntriesResponse]:
        """Pages of what is asked for, with at most `limit` entries in all."""
        return self._pages(self._stub.ListGuideEntries, asked, limit)

    def versions(self, name: str) -> Iterator[pb.GuideEntry]:
        """All versions of an entry, newest first."""
        request = service.ListGuideEntryRevisionsRequest(name=name)
        for page in self._pages(self._stub.ListGuideEntryRevisions, request):
            yield from page.guide_entries

    def version(self, name: str, version: str) -> pb.GuideEntry:
        """Raises click.ClickException where there is no such version."""
        found = [each for each in self.versions(name) if each.version == version]
        if not found:
            raise click.ClickException(f"there is no version {version}; `guides history` has all")
        return found[0]

    def approve(self, entry: pb.GuideEntry) -> pb.GuideEntry:
        """Approves what was read, and nothing newer."""
        request = service.ApproveGuideEntryRequest(name=entry.name, etag=entry.etag)
        return self._call(self._stub.ApproveGuideEntry, request)

    def reject(self, entry: pb.GuideEntry) -> pb.GuideEntry:
        """Rejects what was read, and nothing newer."""
        request = service.RejectGuideEntryRequest(name=entry.name, etag=entry.etag)
        return self._call(self._stub.RejectGuideEntry, request)

    def edit(self, entry: pb.GuideEntry, fields: Mapping[str, Any]) -> pb.GuideEntry:
        """Changes some fields of what was read; raises click.ClickException if they are so."""
        changed = pb.GuideEntry(name=entry.name, etag=entry.etag, **fields)
        mask = FieldMask(paths=list(fields))
        request = service.UpdateGuideEntryRequest(guide_entry=changed, update_mask=mask)
        answer = self._call(self._stub.UpdateGuideEntry, request)
        if answer.etag == entry.etag:
            raise click.ClickException("nothing was changed")
        return answer
