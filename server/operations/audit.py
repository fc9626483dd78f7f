"""What can be done with audit entries, beside listing them: export and verify.

Nobody makes them: that is done in the background, by `sealing.py`.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from kintsugi.v1 import audit_entry_pb2 as pb
from kintsugi.v1 import audit_service_pb2 as service

from server.domain.call import current_call, remaining_seconds
from server.domain.errors import InvalidFields, KintsugiError
from server.domain.names import AuditEntryName, WorkspaceName
from server.domain.status import status_of
from server.logs import internal_error
from server.resources.collection import Collection
from server.store import audit
from server.store.connection import Database

AuditEntries = Collection[pb.AuditEntry, AuditEntryName]

_PAGE = 250
SPARE_SECONDS = 3
"""A call ends when so little of its time is left."""

Paced = Callable[
    [Iterable[service.ExportAuditEntriesResponse]], Iterator[service.ExportAuditEntriesResponse]
]
"""Holds the caller to taking messages in time."""

_CHECKPOINT = re.compile(r"([0-9]{1,18}):([0-9a-f]{64})")


def export(
    entries: AuditEntries, request: service.ExportAuditEntriesRequest, paced: Paced
) -> Iterator[service.ExportAuditEntriesResponse]:
    """All that match, oldest first. What breaks it off is told in a last message.

    Raises NotFound, FilterSyntaxRefused, FilterTypeRefused, and in its midst ReaderTooSlow and why
    its grant is withdrawn.
    """
    has_begun = False
    try:
        for response in paced(_matching(entries, request)):
            has_begun = True
            yield response
    except Exception as error:  # noqa: BLE001 - whatever it is, the caller is told
        told = error if isinstance(error, KintsugiError) else internal_error(current_call().method)
        if has_begun:
            yield from paced([service.ExportAuditEntriesResponse(error=status_of(told))])
        raise told from None


def verify(
    entries: AuditEntries, request: service.VerifyAuditEntriesRequest
) -> service.VerifyAuditEntriesResponse:
    """Checks as much of the chain as there is time for. Raises NotFound, InvalidFields."""
    name, store = WorkspaceName.parse(request.parent), entries.store
    workspace = store.workspace_key(name)
    walk = _Walk(store.database, workspace, _place(request.checkpoint))
    done = walk.run()
    response = service.VerifyAuditEntriesResponse(
        verified_count=walk.count,
        checkpoint=str(walk.at) if walk.at.id else "",
        done=done,
        checkpoint_pruned=walk.is_begin_pruned,
        unsealed_count=audit.count_unsealed(store.database, workspace),
    )
    if walk.broken is not None:
        sequence, reason = walk.broken
        entry = AuditEntryName(name.organization, name.workspace, str(sequence))
        response.broken_link.sequence = sequence
        response.broken_link.audit_entry = str(entry)
        response.broken_link.reason = reason
    return response


@dataclass(frozen=True)
class _Place:
    """An entry and its hash; with the sequence 0, what is before the first one."""

    id: int
    hash: bytes

    def __str__(self) -> str:
        return f"{self.id}:{self.hash.hex()}"


class _Walk:
    """Goes along a chain: `at` is how far it got, `broken` the first link that doesn't hold."""

    def __init__(self, database: Database, workspace: str, begin: _Place | None) -> None:
        self.count = 0
        self.broken: tuple[int, str] | None = None
        self._database = database
        self._workspace = workspace
        self.at = self._anchor()
        self.is_begin_pruned = begin is not None and begin.id < self.at.id
        if begin and not self.is_begin_pruned:
            self._check_begin(begin)

    def run(self) -> bool:
        """Whether it got to the end, or to a broken link; else its time was over."""
        sealed, before, behind = audit.ends(self._database, self._workspace)
        if before is not None:
            self.broken = (before, "stands before the chain")
        while self.broken is None and self.at.id < sealed:
            self._check_next(sealed)
            if self.broken and (anchor := self._anchor()).id > self.at.id:
                self.at, self.broken = anchor, None  # pruned meanwhile
            elif remaining_seconds() < SPARE_SECONDS:
                break
        if self.broken is None and self.at.id >= sealed and behind:
            self.broken = (behind, "was never sealed")
        return self.broken is not None or self.at.id >= sealed

    def _anchor(self) -> _Place:
        return _Place(*audit.anchor(self._database, self._workspace))

    def _check_begin(self, begin: _Place) -> None:
        if begin.id > self.at.id:
            there = audit.entries_after(self._database, self._workspace, begin.id - 1)[:1]
            known = [_Place(entry.id, entry.hash) for entry in there]
        else:
            known = [self.at]
        self.at = begin
        if known != [begin]:
            self.broken = (begin.id, "is not what the checkpoint says")

    def _check_next(self, sealed: int) -> None:
        entries = audit.entries_after(self._database, self._workspace, self.at.id)
        for entry in entries:
            if entry.id > sealed:
                return
            self.broken = self._fault(entry)
            if self.broken:
                return
            self.at = _Place(entry.id, entry.hash)
            self.count += 1
        if not entries:
            self.broken = (self.at.id + 1, "is missing")

    def _fault(self, entry: audit.Entry) -> tuple[int, str] | None:
        if entry.id != self.at.id + 1:
            return self.at.id + 1, "is missing"
        digest = audit.digest(self._workspace, self.at.hash, entry.id, entry.content)
        if entry.hash != digest:
            return entry.id, "doesn't have its hash: it was changed, or wasn't here"
        if entry.sealed not in (None, digest):
            return entry.id, "is not what was sealed"
        return None


def _matching(
    entries: AuditEntries, request: service.ExportAuditEntriesRequest
) -> Iterator[service.ExportAuditEntriesResponse]:
    grant = current_call().grant
    wanted = service.ListAuditEntriesRequest(
        parent=request.parent, filter=request.filter, order_by="sequence", page_size=_PAGE
    )
    while True:
        grant.check()
        page = service.ListAuditEntriesResponse()
        entries.list(WorkspaceName.parse(request.parent), wanted, page, page.audit_entries)
        for entry in page.audit_entries:
            grant.check()
            yield service.ExportAuditEntriesResponse(audit_entry=entry)
        wanted.page_token = page.next_page_token
        if not page.next_page_token:
            return


def _place(checkpoint: str) -> _Place | None:
    """Raises InvalidFields."""
    if not checkpoint:
        return None
    found = _CHECKPOINT.fullmatch(checkpoint)
    if found is None:
        raise InvalidFields([("checkpoint", "must be one that was answered: `sequence:hash`")])
    return _Place(int(found[1]), bytes.fromhex(found[2]))
