"""Deletes what is older than it is to be kept, or of no use any more, in the background.

How it is deleted is in `store/retention.py`.
"""

from collections.abc import Callable
from typing import NamedTuple

import structlog

from server.operations.background import Repetition
from server.store import retention as store
from server.store.connection import Database

_PRUNE_SECONDS = 60

_log = structlog.get_logger()


class Kept(NamedTuple):
    """For how many days what is kept; 0 is for ever."""

    events: int
    revisions: int
    changes: int


def keep_pruning(database: Database, kept: Kept) -> Repetition:
    """Prunes about every minute, until it is closed."""
    return Repetition("retention", lambda: prune(database, kept), _PRUNE_SECONDS)


def prune(database: Database, kept: Kept) -> dict[str, int]:
    """Deletes all that is too old, and the steps of final sessions; answers how much of what."""
    jobs: dict[str, tuple[int, Callable[[Database, int], int]]] = {
        "events": (kept.events, _prune_events),
        "revisions": (kept.revisions, _prune_revisions),
        "changes": (kept.changes, _prune_changes),
    }
    pruned = {name: job(database, days) for name, (days, job) in jobs.items() if days}
    pruned["steps"] = _prune_steps(database)
    if any(pruned.values()):
        _log.info("pruned", **pruned)
    return pruned


def _prune_events(database: Database, days: int) -> int:
    pruned, place = 0, store.BEGINNING
    while True:
        count, last, is_more = store.prune_events(database, place, days)
        pruned += count
        if not count:
            return pruned
        if not is_more:
            place = last


def _prune_steps(database: Database) -> int:
    pruned = 0
    place: store.Step | None = store.FIRST_STEP
    while place:
        count, place = store.prune_steps(database, place)
        pruned += count
    return pruned


def _prune_revisions(database: Database, days: int) -> int:
    return _all(lambda: store.prune_revisions(database, days))


def _prune_changes(database: Database, days: int) -> int:
    def pruned_in(workspace: str) -> int:
        return _all(lambda: store.prune_changes(database, workspace, days))

    return sum(map(pruned_in, store.workspaces(database)))


def _all(prune_batch: Callable[[], int]) -> int:
    pruned = 0
    while True:
        count = prune_batch()
        pruned += count
        if count < store.BATCH:
            return pruned
