"""What the database's errors mean to a caller, in one place.

Everything that isn't named here is a fault of ours and stays what it is.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from psycopg import OperationalError, errors

from server.domain.call import remaining_seconds
from server.domain.errors import DatabaseUnavailable, DeadlinePassed


class Duplicate(Exception):
    """A row that a unique index refuses; whoever wrote it says what that means to the caller."""

    def __init__(self, index: str) -> None:
        super().__init__(index)
        self.index = index


class Undone(DatabaseUnavailable):
    """The database gave something up, and so surely hasn't done it: it may be tried again."""

    def __init__(self) -> None:
        super().__init__("the database gave it up")


_UNDONE = (errors.LockNotAvailable, errors.DeadlockDetected, errors.QueryCanceled)


@contextmanager
def translated() -> Iterator[None]:
    """Raises DeadlinePassed, DatabaseUnavailable (Undone where that is sure) or Duplicate in place
    of the driver's errors."""
    try:
        yield
    except (OperationalError, errors.TransactionTimeout, errors.ReadOnlySqlTransaction) as error:
        if remaining_seconds() <= 0:
            # A transaction that took too long loses its connection like any other that is lost.
            raise DeadlinePassed from error
        raise (Undone if isinstance(error, _UNDONE) else DatabaseUnavailable) from error
    except errors.UniqueViolation as error:
        raise Duplicate(error.diag.constraint_name or "") from error
