"""The audit service as the commands need it.

How it is reached is in `connection`, how answers look is in `audit_table`.
"""

from collections.abc import Iterator

from kintsugi.v1 import audit_service_pb2 as service
from kintsugi.v1.audit_service_pb2_grpc import AuditServiceStub

from cli.service_client import ServiceClient

PAGE = 250
_SECONDS = 40.0
"""What a call of verify may take: the service itself ends it after 30 s."""


class AuditClient(ServiceClient[AuditServiceStub]):
    """The audit service as methods. Each raises ServiceError."""

    STUB = AuditServiceStub

    def pages(
        self, asked: service.ListAuditEntriesRequest, limit: int | None = None
    ) -> Iterator[service.ListAuditEntriesResponse]:
        """Pages of what is asked for, with at most `limit` entries in all."""
        request = service.ListAuditEntriesRequest()
        request.CopyFrom(asked)
        left = limit
        while left is None or left > 0:
            request.page_size = PAGE if left is None else min(left, PAGE)
            page = self._call(self._stub.ListAuditEntries, request)
            yield page
            left = left if left is None else left - len(page.audit_entries)
            request.page_token = page.next_page_token
            if not page.next_page_token:
                return

    def verify(self, parent: str, checkpoint: str) -> Iterator[service.VerifyAuditEntriesResponse]:
        """What was found, part by part, up to the end of the chain or a broken link."""
        request = service.VerifyAuditEntriesRequest(parent=parent, checkpoint=checkpoint)
        while True:
            found = self._call(self._stub.VerifyAuditEntries, request, _SECONDS)
            yield found
            request.checkpoint = found.checkpoint
            if found.done:
                return
