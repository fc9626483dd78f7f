"""The audit of a test's own database, in the words of the tests."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from kintsugi.v1 import audit_entry_pb2 as pb
from kintsugi.v1 import audit_service_pb2 as service

from server.domain.call import Call, entered
from server.operations import sealing
from server.store.connection import Database
from server.store.notifier import Notifier
from server.store.store import Store
from tests.integration.client import WORKSPACE, Client


class Audit:
    """The audit service, and the sealing that a server does by itself, at once."""

    def __init__(self, client: Client, url: str) -> None:
        self.url = url
        self.store = Store(Database(url, connections=1), Notifier(url))
        self._stub = client.audit

    def close(self) -> None:
        self.store.notifier.close()
        self.store.database.close()

    def seal(self) -> None:
        """Until all that is committed is sealed; a server may be doing it at the same time."""
        deadline = time.monotonic() + 30
        while True:
            sealing.seal_all(self.store)
            if self.verify().unsealed_count == 0:
                return
            assert time.monotonic() < deadline, "still not sealed"
            time.sleep(0.05)

    def kept(self, **parameters: Any) -> list[pb.AuditEntry]:
        """Oldest first."""
        given = {"parent": WORKSPACE, "order_by": "sequence", "page_size": 1000} | parameters
        request = service.ListAuditEntriesRequest(**given)
        return list(self._stub.ListAuditEntries(request).audit_entries)

    def sealed(self, **parameters: Any) -> list[pb.AuditEntry]:
        self.seal()
        return self.kept(**parameters)

    def export(self, filter: str = "") -> list[pb.AuditEntry]:
        request = service.ExportAuditEntriesRequest(parent=WORKSPACE, filter=filter)
        return [each.audit_entry for each in self._stub.ExportAuditEntries(request)]

    def get(self, name: str) -> pb.AuditEntry:
        return self._stub.GetAuditEntry(service.GetAuditEntryRequest(name=name))

    def verify(self, checkpoint: str = "") -> service.VerifyAuditEntriesResponse:
        request = service.VerifyAuditEntriesRequest(parent=WORKSPACE, checkpoint=checkpoint)
        return self._stub.VerifyAuditEntries(request)

    def broken(self) -> int | None:
        """The sequence of the first link that is broken."""
        answer = self.verify()
        assert answer.done
        if not answer.HasField("broken_link"):
            return None
        sequence = answer.broken_link.sequence
        assert answer.broken_link.audit_entry == f"{WORKSPACE}/auditEntries/{sequence}"
        assert answer.verified_count == sequence - 1
        return int(sequence)

    def sql(self, statement: str) -> list[Any]:
        """As the database's owner."""
        with psycopg.connect(self.url) as connection:
            cursor = connection.execute(statement)  # type: ignore[arg-type]
            return cursor.fetchall() if cursor.description else []


@contextmanager
def calling(method: str = "", **fields: Any) -> Iterator[None]:
    """Within, operations are done for such a call."""
    given = {"principal": "users/ada", "deadline": None} | fields
    with entered(Call(f"/kintsugi.v1.ExceptionService/{method}", **given)):
        yield
