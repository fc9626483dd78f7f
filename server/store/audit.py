"""The SQL of the audit's chain: the columns of an entry, reading it to be verified, pruning it.

How it grows is in `store/sealing.py`; what an entry says, in `domain/audit.py`.
"""

from collections.abc import Mapping, Sequence
from contextlib import closing
from typing import Any, NamedTuple

from sqlalchemy import text

from server.domain.audit import GENESIS, link
from server.store.connection import Database, Row, Transaction
from server.store.query import Query

BATCH = 250
"""How many entries are sealed, or read to be verified, at once."""

_BATCH_CHARACTERS = 4_000_000
"""Fewer, where they are large together: the JSON of one may have 1.5 MB, or twice that."""

CONTENT = (
    *("type", "principal", "token", "address", "method", "resource", "outcome", "count"),
    *("before", "after", "create_time"),
)
"""What is hashed behind the workspace and the sequence, in this order."""

_READ_AS = {
    "before": "before::text",
    "after": "after::text",
    "create_time": "(extract(epoch FROM entry.create_time) * 1000000)::bigint",
}

READ = ", ".join(_READ_AS.get(name, name) for name in CONTENT)
"""The content of an `entry`: JSON as the text that it is kept as, the time in microseconds."""

HEADS = """(
    SELECT uid AS workspace, coalesce(seal.id, 0) AS id, seal.hash,
        coalesce(seal.epoch, 0) AS epoch, coalesce(seal.xid, '0') AS xid,
        coalesce(seal.change, 0) AS change
    FROM workspaces LEFT JOIN LATERAL (
        SELECT * FROM audit_seals WHERE workspace = uid ORDER BY id DESC LIMIT 1
    ) AS seal ON true
) AS head"""
"""Where the chain of each workspace ends, and the last change that is in it."""

BEYOND = """changes.workspace = head.workspace
    AND (changes.epoch, changes.xid, changes.id) > (head.epoch, head.xid, head.change)"""
"""The changes that aren't in it yet."""

_MOST_COUNTED = 100_000

_COUNT_UNSEALED = Query(
    text(
        f"""
        SELECT count(*) FROM {HEADS}, LATERAL (
            SELECT FROM changes WHERE {BEYOND}
            UNION ALL SELECT FROM pending_audit_entries WHERE workspace = head.workspace
            LIMIT {_MOST_COUNTED}
        ) AS unsealed
        WHERE head.workspace = coalesce(CAST(:workspace AS uuid), head.workspace)
        """
    )
)

_ANCHOR = Query(text("SELECT id, hash FROM pruned_audit_entries WHERE workspace = :workspace"))

_ENDS = Query(
    text(
        """
        SELECT sealed, (
            SELECT min(id) FROM audit_entries WHERE workspace = :workspace AND id <= coalesce(
                (SELECT id FROM pruned_audit_entries WHERE workspace = :workspace), 0
            )
        ), (
            SELECT min(id) FROM audit_entries WHERE workspace = :workspace AND id > sealed
        )
        FROM (
            SELECT coalesce(max(id), 0) AS sealed FROM audit_seals WHERE workspace = :workspace
        ) AS seals
        """
    )
)

_ENTRIES = Query(
    text(
        f"""
        SELECT id, entry.hash, seal.hash, {READ}
        FROM audit_entries AS entry LEFT JOIN (
            SELECT id, hash FROM audit_seals WHERE workspace = :workspace
        ) AS seal USING (id)
        WHERE entry.workspace = :workspace AND id > :id
        ORDER BY id
        LIMIT {BATCH}
        """
    )
)

_PRUNE = Query(text("SELECT prune_audit_entries(:days)"))


class Entry(NamedTuple):
    """An entry as it is kept; `sealed` is the hash of the seal that ends with it, if one does."""

    id: int
    hash: bytes
    sealed: bytes | None
    content: Sequence[Any]


def digest(workspace: str, previous: bytes, id: int, content: Sequence[Any]) -> bytes:
    """The hash that an entry must have."""
    return link(previous, [workspace, id, *content])


def anchor(database: Database, workspace: str) -> tuple[int, bytes]:
    """What the first entry that is kept is chained to: sequence and hash."""
    row = database.one(_ANCHOR, {"workspace": workspace})
    return (row[0], row[1]) if row else (0, GENESIS)


def ends(database: Database, workspace: str) -> tuple[int, int | None, int | None]:
    """The last entry that is sealed, and the first ones before and behind the chain, which should
    not be there."""
    [[sealed, before, behind]] = database.all(_ENDS, {"workspace": workspace})
    return sealed, before, behind


def entries_after(database: Database, workspace: str, id: int) -> list[Entry]:
    """The next entries of a chain: a batch."""
    with database.transaction() as transaction:
        rows, _ = batch(transaction, _ENTRIES, {"workspace": workspace, "id": id})
    return [Entry(id, hash, sealed, content) for id, hash, sealed, *content in rows]


def batch(
    transaction: Transaction, query: Query, parameters: Mapping[str, Any]
) -> tuple[list[Row], bool]:
    """The first rows of the query, until their texts are large together, at least one; and
    whether there may be more."""
    rows, size = [], 0
    with closing(transaction.rows(query, parameters)) as found:
        for row in found:
            rows.append(row)
            size += sum(len(value) for value in row if isinstance(value, str))
            if size >= _BATCH_CHARACTERS:
                return rows, True
    return rows, len(rows) == BATCH


def count_unsealed(database: Database, workspace: str | None = None) -> int:
    """How much isn't sealed yet, in one workspace or in all; of each at most 100,000."""
    [[count]] = database.all(_COUNT_UNSEALED, {"workspace": workspace})
    return int(count)


def prune(database: Database, days: int) -> int:
    """Removes entries that were sealed more than so many days ago; answers how many.

    Does a part at a time: 0 says that there are no more.
    """
    [[count]] = database.all(_PRUNE, {"days": days})
    return int(count)
