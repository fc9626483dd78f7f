"""The database that a process starts on: brought to the newest schema, or found to have it.

What stands in the way is one line, for whoever starts the process.
"""

from collections.abc import Callable

from sqlalchemy.exc import ArgumentError, OperationalError

from server.store import count_rollup, schema


class CannotRun(Exception):
    """What a process needs isn't there; the message says what and is meant for its user."""


def migrate(url: str, app_role: str = "", *, recount: bool = False) -> None:
    """Brings a database's schema to the newest version, and its counts too.

    Servers may use it as `app_role`. Raises CannotRun.
    """
    from server.store.migrate import NoSuchRole, migrate  # noqa: PLC0415 (servers need no Alembic)

    try:
        _reach(lambda url: migrate(url, app_role), url)
    except NoSuchRole as error:
        raise CannotRun(f"there is no role {app_role}: create it first") from error
    if recount:
        count_rollup.recount(url)


def check(url: str) -> None:
    """Raises CannotRun where the schema isn't the newest."""
    _reach(schema.check, url)


def _reach(use: Callable[[str], None], url: str) -> None:
    try:
        use(url.replace("postgres://", "postgresql://", 1))
    except schema.NotMigrated as error:
        raise CannotRun("the database isn't prepared: run `kintsugi migrate` first") from error
    except schema.WrongEncoding as error:
        raise CannotRun(
            f"the database is in {error}, it has to be in {schema.ENCODING}: {schema.NEW_DATABASE}"
        ) from error
    except ArgumentError as error:
        raise CannotRun("the database URL must look like postgresql://host/name") from error
    except OperationalError as error:
        reason = str(error.orig).strip().splitlines()[0]
        raise CannotRun(f"can't reach the database: {reason}") from error
