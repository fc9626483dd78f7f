"""How busy a server process is, how well its database keeps up, and how many sessions wait for a
worker, for `/metrics`.

What each call counts is in the interceptors, what streams count is in `streams/metrics.py`.
"""

from collections.abc import Collection, Mapping
from typing import Protocol

from prometheus_client import Gauge

from server.operations.background import Repetition
from server.store.connection import Database
from server.store.count_rollup import checked
from server.store.horizon import Horizon
from server.store.leases import queued

_LOOK_SECONDS = 1
_QUEUE_SECONDS = 5
_CHECK_SECONDS = 600
"""Comparing the counts reads every exception."""

_CALLS = Gauge(
    "kintsugi_calls",
    "RPCs that are there, waiting ones included.",
    ["pool"],
    multiprocess_mode="livesum",
)
_QUEUED = Gauge(
    "kintsugi_calls_queued",
    "RPCs that wait for a thread.",
    ["pool"],
    multiprocess_mode="livesum",
)
_CONNECTIONS = Gauge(
    "kintsugi_database_connections",
    "Connections to the database, by whether they are used or idle.",
    ["pool", "state"],
    multiprocess_mode="livesum",
)
_LIMIT = Gauge(
    "kintsugi_database_connections_limit",
    "How many connections there may be.",
    ["pool"],
    multiprocess_mode="livesum",
)
_WAITING = Gauge(
    "kintsugi_database_waiting",
    "Who waits for a connection to the database.",
    ["pool"],
    multiprocess_mode="livesum",
)
_FOLLOWER_LAG = Gauge(
    "kintsugi_follower_lag_seconds",
    "For how long an open transaction of the cluster has been hiding later ones from followers.",
    multiprocess_mode="livemax",
)
_WRONG = Gauge(
    "kintsugi_counts_wrong",
    "How many counts of exceptions differ from the exceptions; checked every ten minutes.",
    multiprocess_mode="livemostrecent",
)


_SESSIONS_QUEUED = Gauge(
    "kintsugi_sessions_queued",
    "Agent sessions that are due, and that no worker has taken yet.",
    multiprocess_mode="livemostrecent",
)


class Pool(Protocol):
    """Threads for one kind of call."""

    @property
    def calls(self) -> str: ...
    @property
    def count(self) -> int: ...
    @property
    def queued(self) -> int: ...


def keep_looking(
    pools: Collection[Pool], databases: Mapping[str, Database], database: Database
) -> list[Repetition]:
    """Looks at the pools and asks `database` for the rest, until they are closed."""
    horizon = Horizon()

    def look() -> None:
        _look_at_calls(pools)
        _look_at_connections(databases)
        _FOLLOWER_LAG.set(horizon.lag(database))

    return [
        Repetition("vitals", look, _LOOK_SECONDS),
        # Not by a worker: where none works, or one hangs, it has to be told.
        Repetition(
            "queue", lambda: _SESSIONS_QUEUED.set(queued(database)), _QUEUE_SECONDS, first=0
        ),
        Repetition(
            "rollup check", lambda: check_counts(database), _CHECK_SECONDS, first=_LOOK_SECONDS
        ),
    ]


def check_counts(database: Database) -> None:
    """Compares the counts with the exceptions, unless another process does it just now."""
    wrong = checked(database)
    if wrong is not None:
        _WRONG.set(wrong)


def _look_at_calls(pools: Collection[Pool]) -> None:
    for pool in pools:
        _CALLS.labels(pool.calls).set(pool.count)
        _QUEUED.labels(pool.calls).set(pool.queued)


def _look_at_connections(databases: Mapping[str, Database]) -> None:
    for name, database in databases.items():
        use = database.use
        _CONNECTIONS.labels(name, "used").set(use.used)
        _CONNECTIONS.labels(name, "idle").set(use.idle)
        _WAITING.labels(name).set(use.waiting)
        _LIMIT.labels(name).set(use.limit)
