"""Whether a database has our schema. It is made by `migrate.py`, which is slow to import."""

from sqlalchemy import Connection, Engine, create_engine, text
from sqlalchemy.exc import ProgrammingError

ENCODING = "UTF8"
NEW_DATABASE = f"`createdb --encoding={ENCODING} --template=template0 kintsugi` makes one that is"

_IS_CURRENT = text(
    """
    SELECT pg_control_system.system_identifier = newest.system_identifier
    FROM pg_control_system(),
      (SELECT system_identifier FROM clusters ORDER BY epoch DESC LIMIT 1) newest
    """
)


class NotMigrated(Exception):
    """The database has no schema of ours yet, or was restored into another cluster."""


class WrongEncoding(Exception):
    """The database can't hold every text: it is in the encoding that is named."""


def engine_of(url: str) -> Engine:
    """For any database, whatever encoding it is in."""
    return create_engine(url, connect_args={"client_encoding": ENCODING})


def check_encoding(connection: Connection) -> None:
    """Raises WrongEncoding."""
    found = connection.scalar(text("SHOW server_encoding"))
    if found != ENCODING:
        raise WrongEncoding(found)


def check(url: str) -> None:
    """Raises NotMigrated where `migrate` has to run first, WrongEncoding where it can't, and
    OperationalError where none answers."""
    engine = engine_of(url)
    try:
        with engine.connect() as connection:
            check_encoding(connection)
            current = connection.scalar(_IS_CURRENT)
    except ProgrammingError as error:
        raise NotMigrated from error
    finally:
        engine.dispose()
    if not current:
        raise NotMigrated
