"""The SQL that makes the audit's chain grow: what waits to be sealed, and the batch that is.

What becomes an entry are the changes, in the order of followers, and `pending_audit_entries`.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from sqlalchemy import text

from server.domain.audit import CALL_REFUSED, GENESIS, Last, Refused, entry_type, masked
from server.domain.timestamps import to_datetime
from server.store.audit import BATCH, BEYOND, CONTENT, HEADS, READ, batch, digest
from server.store.connection import Database, Row, Transaction
from server.store.query import Query

_LOCK = 0x6175646974  # "audit": one at a time seals, of all processes

_TRY_LOCK = Query(text(f"SELECT pg_try_advisory_xact_lock({_LOCK})"))

_DECIDED = """(changes.epoch < (SELECT max(epoch) FROM clusters)
    OR changes.xid < pg_snapshot_xmin(pg_current_snapshot()))"""
"""As for followers: nothing that commits later comes before it."""

_DUE = f"(type <> '{CALL_REFUSED}' OR create_time < clock_timestamp() - interval '65 seconds')"
"""Refused calls of a minute are one entry: it has to be over, and everybody to have told."""

_UNSEALED_WORKSPACES = Query(
    text(
        f"""
        SELECT head.workspace FROM {HEADS}
        WHERE EXISTS (SELECT FROM changes WHERE {BEYOND} AND {_DECIDED})
            OR EXISTS (
                SELECT FROM pending_audit_entries WHERE workspace = head.workspace AND {_DUE}
            )
        """
    )
)

_HEAD = Query(
    text(f"SELECT id, hash, epoch, xid::text, change FROM {HEADS} WHERE workspace = :workspace")
)

_NEW_CHANGES = Query(
    text(
        f"""
        SELECT epoch, xid::text, id, method, resource, principal, token, address, before::text,
            CASE WHEN before IS NULL THEN after ELSE coalesce(
                (
                    SELECT jsonb_object_agg(key, after -> key)
                    FROM jsonb_object_keys(before) AS key WHERE after ? key
                ),
                jsonb_build_object()
            ) END::text,
            (extract(epoch FROM create_time) * 1000000)::bigint
        FROM changes
        WHERE workspace = :workspace AND {_DECIDED}
            AND (epoch, xid, id) > (:epoch, CAST(:xid AS xid8), :change)
        ORDER BY changes.epoch, changes.xid, changes.id
        LIMIT {BATCH}
        """
    )
)

_PENDING = Query(
    text(
        f"""
        SELECT id, {READ} FROM pending_audit_entries AS entry
        WHERE workspace = :workspace AND {_DUE}
        ORDER BY id
        LIMIT {BATCH}
        FOR UPDATE
        """
    )
)

_TAKE_PENDING = Query(
    text(
        """
        DELETE FROM pending_audit_entries WHERE workspace = :workspace AND id = ANY(:ids)
        RETURNING id
        """
    )
)

_APPEND = f"COPY audit_entries (workspace, id, hash, {', '.join(CONTENT)}) FROM STDIN"
_SEAL = Query(
    text(
        """
        INSERT INTO audit_seals (workspace, id, hash, epoch, xid, change)
        VALUES (:workspace, :id, :hash, :epoch, CAST(:xid AS xid8), :change)
        RETURNING id
        """
    )
)

_COUNT_REFUSED = Query(
    text(
        f"""
        INSERT INTO pending_audit_entries AS kept (
            workspace, type, principal, token, address, method, resource, outcome, count,
            create_time
        )
        VALUES (
            :workspace, '{CALL_REFUSED}', :principal, :token, :address, :method, '', :outcome,
            :calls, date_trunc('minute', clock_timestamp())
        )
        ON CONFLICT (workspace, principal, method, outcome, create_time)
            WHERE type = '{CALL_REFUSED}'
        DO UPDATE SET count = kept.count + excluded.count, token = excluded.token,
            address = excluded.address
        RETURNING id
        """
    )
)

_NOTE = Query(
    text(
        """
        INSERT INTO pending_audit_entries (
            workspace, type, principal, token, address, method, resource, outcome, count, after
        )
        VALUES (
            :workspace, :type, :principal, :token, :address, :method, :resource, 'OK', 1,
            CAST(:payload AS json)
        )
        RETURNING id
        """
    )
)


class Note(NamedTuple):
    """What the audit is to have that is no change of a resource: an `aiagent.response.complete`.

    `payload` becomes the entry's `after`, secrets masked. `token`, `address` and `method` are of
    the call, empty for what the service does by itself.
    """

    type: str
    principal: str
    resource: str
    payload: Mapping[str, Any]
    token: str = ""
    address: str = ""
    method: str = ""


class _Head(NamedTuple):
    id: int
    hash: bytes | None
    epoch: int
    xid: str
    change: int


def audit(transaction: Transaction, workspace: str, note: Note) -> None:
    """Keeps a note for the audit of the workspace with this uid, if the transaction commits."""
    given = note._asdict() | {"payload": json.dumps(dict(note.payload))}
    transaction.one(_NOTE, given | {"workspace": workspace})


def count_refused(
    transaction: Transaction, workspaces: Mapping[str, str], refused: Mapping[Refused, Last]
) -> None:
    """Adds calls to those that were refused in this minute; `workspaces` are uids by names."""
    rows = [
        {**calls._asdict(), **last._asdict(), "workspace": workspaces[calls.workspace]}
        for calls, last in sorted(refused.items())  # two processes never wait for each other
    ]
    transaction.each(_COUNT_REFUSED, rows)


def unsealed_workspaces(database: Database) -> list[str]:
    """The uids of the workspaces in which something can be sealed."""
    return [str(uid) for (uid,) in database.all(_UNSEALED_WORKSPACES, {})]


def seal(transaction: Transaction, workspace: str) -> bool:
    """Appends a batch to the chain of the workspace with this uid; answers whether it was a full
    one, so that more may be left.

    Does nothing while another process does it. What was put into the chain is known by the same
    transaction: whenever it ends, nothing is in it twice, and nothing is left out.
    """
    [[is_ours]] = transaction.all(_TRY_LOCK, {})
    if not is_ours:
        return False
    [row] = transaction.all(_HEAD, {"workspace": workspace})
    head = _Head(*row)
    given = head._asdict() | {"workspace": workspace}
    changes, are_more_changes = batch(transaction, _NEW_CHANGES, given)
    pending, are_more_pending = _take_pending(transaction, workspace)
    contents = [*map(_of_change, changes), *map(_of_pending, pending)]
    if contents:
        entries = list(_chained(workspace, head, contents))
        transaction.copy(_APPEND, entries)
        _, id, hash, *_ = entries[-1]
        epoch, xid, change = changes[-1][:3] if changes else head[2:]
        seal = _Head(id, hash, epoch, xid, change)
        transaction.one(_SEAL, seal._asdict() | {"workspace": workspace})
    return are_more_changes or are_more_pending


def _take_pending(transaction: Transaction, workspace: str) -> tuple[list[Row], bool]:
    rows, are_more = batch(transaction, _PENDING, {"workspace": workspace})
    ids = [id for id, *_ in rows]
    if ids:
        transaction.all(_TAKE_PENDING, {"workspace": workspace, "ids": ids})
    return [row[1:] for row in rows], are_more


def _of_change(row: Row) -> Row:
    method, resource, principal, token, address, before, after, create_time = row[3:]
    type = entry_type(method, resource.split("/")[-2], is_new=before is None)
    who, what = (principal, token, address), (method, resource, "OK", 1)
    return (type, *who, *what, masked(before), masked(after), create_time)


def _of_pending(content: Row) -> Row:
    *said, before, after, create_time = content
    return (*said, masked(before), masked(after), create_time)


def _chained(workspace: str, head: _Head, contents: Iterable[Row]) -> Iterator[Row]:
    """The entries with their places and hashes, as they are copied."""
    previous = head.hash or GENESIS
    for id, content in enumerate(contents, start=head.id + 1):
        previous = digest(workspace, previous, id, content)
        *said, create_time = content
        yield (workspace, id, previous, *said, to_datetime(create_time))
