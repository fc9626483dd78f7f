"""Whether a database has our schema. It is made by `migrate.py`, which is slow to import."""

from sqlalchemy import create_engine, text
from sqlalchemy.exc import ProgrammingError

_IS_CURRENT = text(
    """
    SELECT pg_control_system.system_identifier = newest.system_identifier
    FROM pg_control_system(),
      (SELECT system_identifier FROM clusters ORDER BY epoch DESC LIMIT 1) newest
    """
)


class NotMigrated(Exception):
    """The database has no schema of ours yet, or was restored into another cluster."""


def check(url: str) -> None:
    """Raises NotMigrated where `migrate` has to run first, OperationalError where none answers."""
    engine = create_engine(url)
    try:
        with engine.connect() as connection:
            current = connection.scalar(_IS_CURRENT)
    except ProgrammingError as error:
        raise NotMigrated from error
    finally:
        engine.dispose()
    if not current:
        raise NotMigrated
