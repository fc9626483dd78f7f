"""What workers look at again and again, beside the sessions that they have.

How sessions go on is in `session_progress.py`.
"""

from server.operations.background import Repetition
from server.store import leases
from server.store.store import Store
from server.store.topics import SESSIONS

_SWEEP_SECONDS = 2


class Sweep:
    """Has sessions looked at whose exception was dealt with otherwise.

    Each call goes over the next open ones, so that it takes as long however many there are.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._place = leases.BEGINNING

    def __call__(self) -> None:
        woken, self._place = leases.wake_withdrawn(self._store.database, self._place)
        if woken:
            self._store.notifier.announce(SESSIONS)


def keep_sweeping(store: Store) -> Repetition:
    """Sweeps, until it is closed."""
    return Repetition("sweep", Sweep(store), _SWEEP_SECONDS)
