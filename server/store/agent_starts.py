"""The SQL of the limit on agent work: when each principal began some within the last hour.

One row a principal, so that its lock makes the count exact; the clock is the database's.
"""

from sqlalchemy import text

from server.store.connection import Database
from server.store.query import Query

_COUNT = Query(
    text(
        """
        INSERT INTO agent_starts AS known (principal, times)
        VALUES (:principal, ARRAY[clock_timestamp()])
        ON CONFLICT (principal) DO UPDATE SET times = ARRAY(
          SELECT t FROM unnest(known.times) AS t
          WHERE t > clock_timestamp() - interval '1 hour' ORDER BY t
        ) || clock_timestamp()
        WHERE (
          SELECT count(*) FROM unnest(known.times) AS t
          WHERE t > clock_timestamp() - interval '1 hour'
        ) < :most
        RETURNING 1
        """
    )
)
_TAKE_BACK = Query(
    text(
        """
        UPDATE agent_starts SET times = times[1 : cardinality(times) - 1]
        WHERE principal = :principal RETURNING 1
        """
    )
)
_SECONDS_LEFT = Query(
    text(
        """
        SELECT CAST(extract(epoch FROM
          times[cardinality(times) - :most + 1] + interval '1 hour' - clock_timestamp()
        ) AS double precision)
        FROM agent_starts WHERE principal = :principal
        """
    )
)


def count(database: Database, principal: str, most: int) -> bool:
    """Whether there was room for one more, which is then counted; what is an hour old goes."""
    return database.one(_COUNT, {"principal": principal, "most": most}) is not None


def take_back(database: Database, principal: str) -> None:
    """Forgets the last one: whose it was makes no difference to how many there are."""
    database.one(_TAKE_BACK, {"principal": principal})


def seconds_left(database: Database, principal: str, most: int) -> float:
    """How long there is no room for one more, if nobody takes it; not positive where there is."""
    row = database.one(_SECONDS_LEFT, {"principal": principal, "most": most})
    return 0.0 if row is None or row[0] is None else float(row[0])
