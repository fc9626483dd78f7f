"""The change record: one row for each resource that a mutation changes, in its transaction.

It is what makes a repeated `request_id` harmless (AIP-155), and what followers read.
"""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol, TypeVar

from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.message import Message
from sqlalchemy import Text, bindparam, cast, func, insert, select

from server.domain.call import Call, current_call
from server.domain.errors import RequestIdReused
from server.store.connection import Database, Transaction
from server.store.query import Query
from server.store.tables import TransactionId, changes

M = TypeVar("M", bound=Message)


class MutationRequest(Protocol):
    """A request message of a method that changes something."""

    request_id: str

    def SerializeToString(self, *, deterministic: bool) -> bytes: ...  # noqa: N802 - protobuf's


_LOCK = Query(select(func.pg_advisory_xact_lock(bindparam("key"))))

_EARLIER = Query(
    select(changes.c.epoch, changes.c.xid.cast(Text), changes.c.body_digest).where(
        *(changes.c[name] == bindparam(name) for name in ("workspace", "principal", "method")),
        changes.c.request_id == bindparam("request_id"),
    )
)

_RESOURCES = Query(
    select(changes.c.resource)
    .where(
        changes.c.epoch == bindparam("epoch"),
        changes.c.xid == cast(bindparam("xid"), TransactionId()),
        changes.c.workspace == bindparam("workspace"),
    )
    .order_by(changes.c.id)
)

_APPEND = Query(
    insert(changes).values(
        {
            name: bindparam(name)
            for name in (
                *("workspace", "principal", "method", "request_id", "body_digest"),
                *("resource", "before", "after", "changed"),
            )
        }
    )
)


class Mutation:
    """A transaction that appends a change for each resource it changes.

    `earlier` are the names of what the same request has changed before, in their order; it is
    None the first time. Then there is nothing to do but to answer them as they are now.
    """

    def __init__(
        self, transaction: Transaction, workspace: str, request: MutationRequest, call: Call
    ) -> None:
        self.transaction = transaction
        self.workspace = workspace
        self._call = call
        self._request_id: str | None = request.request_id or None
        self._digest = _digest(request) if self._request_id else None
        self.earlier = self._find_earlier() if self._request_id else None

    def record(self, *changed: tuple[object, M | None, M]) -> None:
        """Appends a change for each (name, before, after); before is None for what is new."""
        rows = [self._row(name, before, after) for name, before, after in changed]
        rows[0] |= {"request_id": self._request_id, "body_digest": self._digest}
        self._request_id = self._digest = None
        for row in rows:
            self.transaction.later(_APPEND, row)

    def record_request(self, name: object, unchanged: Message) -> None:
        """Remembers a request that had nothing to change, if it has an id."""
        if self._request_id:
            self.record((name, unchanged, unchanged))

    def _key(self) -> dict[str, str | None]:
        return {
            "workspace": self.workspace,
            "principal": self._call.principal,
            "method": self._call.method,
            "request_id": self._request_id,
        }

    def _row(self, name: object, before: M | None, after: M) -> dict[str, Any]:
        changed = [] if before is None else _differing(before, after)
        return {
            **self._key(),
            "request_id": None,
            "body_digest": None,
            "resource": str(name),
            "before": b"" if before is None else _only(before, changed).SerializeToString(),
            "after": after.SerializeToString(),
            "changed": changed,
        }

    def _find_earlier(self) -> list[str] | None:
        self.transaction.later(_LOCK, {"key": _lock_key(self._key().values())})
        row = self.transaction.one(_EARLIER, self._key())
        if row is None:
            return None
        epoch, xid, digest = row
        if digest != self._digest:
            raise RequestIdReused
        found = {"epoch": epoch, "xid": xid, "workspace": self.workspace}
        return [resource for (resource,) in self.transaction.all(_RESOURCES, found)]


@contextmanager
def mutation(database: Database, workspace: str, request: MutationRequest) -> Iterator[Mutation]:
    """A transaction of the current call. A twin with the same request id waits until it ends."""
    with database.transaction() as transaction:
        yield Mutation(transaction, workspace, request, current_call())


def _digest(request: MutationRequest) -> bytes:
    return hashlib.sha256(request.SerializeToString(deterministic=True)).digest()


def _lock_key(parts: Iterable[str | None]) -> int:
    joined = "\0".join(part or "" for part in parts).encode()
    return int.from_bytes(hashlib.sha256(joined).digest()[:8], "big", signed=True)


def _differing(before: M, after: M) -> list[str]:
    fields = after.DESCRIPTOR.fields
    return [f.name for f in fields if getattr(before, f.name) != getattr(after, f.name)]


def _only(message: M, fields: Sequence[str]) -> M:
    kept = type(message)()
    FieldMask(paths=fields).MergeMessage(message, kept)
    return kept
