"""How long followers have been waiting for a transaction that is open, in seconds.

They read what is older than the oldest one: whatever writes in the cluster delays them, of
whatever database.
"""

from time import monotonic

from sqlalchemy import text

from server.store.connection import Database
from server.store.query import Query

_HORIZON = Query(
    text(
        """
        SELECT CAST(pg_snapshot_xmin(now) AS text), pg_snapshot_xmin(now) < pg_snapshot_xmax(now)
        FROM pg_current_snapshot() AS now
        """
    )
)


class Horizon:
    """Looked at again and again, it tells for how long it has stood still.

    That needs no privilege, as a look at other users' transactions would.
    """

    def __init__(self) -> None:
        self._xid = ""
        self._since: float | None = None

    def lag(self, database: Database) -> float:
        """0 while nothing that was committed waits. Raises DatabaseUnavailable."""
        [[xid, is_held]] = database.all(_HORIZON, {})
        if not is_held:
            self._since = None
        elif xid != self._xid or self._since is None:
            self._since = monotonic()
        self._xid = xid
        return monotonic() - self._since if self._since is not None else 0.0
