"""SQLAlchemy statements, compiled and sent straight through psycopg.

SQLAlchemy's own engine would cost half of the calls a second; only its expression language is used.
"""

from collections.abc import Mapping
from functools import cached_property
from typing import Any

from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg
from sqlalchemy.sql.expression import ClauseElement

_DIALECT = PGDialect_psycopg(paramstyle="numeric_dollar")  # type: ignore[no-untyped-call]


class Query:
    """One statement: its text, and the values of the parameters that are part of it.

    The parameters stand in it as PostgreSQL has them, `$1`: in a text of more than 4096 bytes
    psycopg would look for its own each time. It is compiled when it is first used: no process needs
    all that there are, and that would be a fifth of its start.
    """

    def __init__(self, statement: ClauseElement) -> None:
        self._statement = statement

    @cached_property
    def text(self) -> bytes:
        return str(self._compiled).encode()

    def parameters(self, given: Mapping[str, Any]) -> list[Any]:
        """What a raw cursor needs beside the text: the statement's own values and the given ones,
        in the order of their numbers.
        """
        values = {**self._values, **given}
        return [values[name] for name in self._names]

    @cached_property
    def _compiled(self) -> Any:
        return self._statement.compile(dialect=_DIALECT)

    @cached_property
    def _names(self) -> list[str]:
        return self._compiled.positiontup or []

    @cached_property
    def _values(self) -> dict[str, Any]:
        return {
            name: bind.value
            for bind, name in getattr(self._compiled, "bind_names", {}).items()
            if not bind.required
        }
