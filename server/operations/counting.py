"""Keeps the counts of exceptions quick to read, in the background.

How they are read is in `exception_counts.py`; what is kept is in `store/counts.py`.
"""

from server.operations.background import Repetition
from server.store.connection import Database
from server.store.count_rollup import BATCH, fold

_FOLD_SECONDS = 1


def keep_folding(database: Database) -> Repetition:
    """Folds what was counted since, about every second, until it is closed."""
    return Repetition("counts", lambda: fold_all(database), _FOLD_SECONDS)


def fold_all(database: Database) -> None:
    """Folds batches until there is little left, or somebody else does it."""
    while fold(database) == BATCH:
        pass
