"""Keeps the audit's chain growing, in the background: counts refused calls, seals, prunes.

What becomes of it when it is read is in `audit.py`.
"""

from collections.abc import Mapping
from typing import Protocol

import structlog
from prometheus_client import Gauge

from server.domain.audit import Last, Refused
from server.domain.errors import KintsugiError
from server.domain.names import WorkspaceName
from server.operations.background import Repetition
from server.store import audit, sealing
from server.store.store import Store

_log = structlog.get_logger()

_SEAL_SECONDS = 1
_PRUNE_SECONDS = 60

_UNSEALED = Gauge(
    "kintsugi_audit_unsealed_entries",
    "Changes, and other things to be kept, that the audit's chain doesn't have yet.",
    multiprocess_mode="livemostrecent",
)


class RefusedCalls(Protocol):
    """What was refused since it was last taken."""

    def take(self) -> Mapping[Refused, Last]: ...
    def give_back(self, refused: Mapping[Refused, Last]) -> None: ...


def keep_sealing(store: Store, refused: RefusedCalls) -> Repetition:
    """Seals what was committed since, about every second, until it is closed."""

    def work() -> None:
        count_refused(store, refused)
        seal_all(store)

    return Repetition("audit", work, _SEAL_SECONDS)


def keep_pruning(store: Store, days: int, seconds: float = _PRUNE_SECONDS) -> Repetition:
    """Prunes what was sealed more than `days` ago, every so many seconds, until it is closed."""
    return Repetition("audit-pruning", lambda: prune_all(store, days), seconds)


def count_refused(store: Store, refused: RefusedCalls) -> None:
    """Writes down what was refused since; what can't be written is kept for the next time."""
    calls = refused.take()
    if not calls:
        return
    try:
        names = {each.workspace for each in calls}
        workspaces = {name: store.workspace_key(WorkspaceName.parse(name)) for name in names}
        with store.database.transaction() as transaction:
            sealing.count_refused(transaction, workspaces, calls)
    except KintsugiError:
        refused.give_back(calls)
        raise


def seal_all(store: Store) -> None:
    """Seals batches while there are full ones, unless somebody else does it.

    What comes meanwhile is for the next time: small batches cost many times as much an entry.
    """
    for workspace in sealing.unsealed_workspaces(store.database):
        try:
            while _seal(store, workspace):
                pass
        except KintsugiError:
            raise
        except Exception:  # noqa: BLE001 - it is tried again, and doctor tells; the others' go on
            _log.exception("an audit can't be sealed", workspace=workspace)
    _UNSEALED.set(audit.count_unsealed(store.database))


def prune_all(store: Store, days: int) -> None:
    """Removes parts until nothing is old enough."""
    while audit.prune(store.database, days):
        pass


def _seal(store: Store, workspace: str) -> bool:
    with store.database.transaction() as transaction:
        return sealing.seal(transaction, workspace)
