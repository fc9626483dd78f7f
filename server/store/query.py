"""SQLAlchemy statements, compiled and sent straight through psycopg.

SQLAlchemy's own engine would cost half of the calls a second; only its expression language is used.
"""

from collections.abc import Mapping
from functools import cached_property
from typing import Any

from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg
from sqlalchemy.sql.expression import ClauseElement

_DIALECT = PGDialect_psycopg()  # type: ignore[no-untyped-call]


class Query:
    """One statement: its text, and the values of the parameters that are part of it.

    It is compiled when it is first used: no process needs all that there are, and that would be a
    fifth of its start.
    """

    def __init__(self, statement: ClauseElement) -> None:
        self._statement = statement

    @cached_property
    def text(self) -> str:
        return str(self._compiled)

    def parameters(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """What psycopg needs beside the text: the statement's own values and the given ones."""
        return {**self._values, **given}

    @cached_property
    def _compiled(self) -> Any:
        return self._statement.compile(dialect=_DIALECT)

    @cached_property
    def _values(self) -> dict[str, Any]:
        return {
            name: bind.value
            for bind, name in getattr(self._compiled, "bind_names", {}).items()
            if not bind.required
        }
