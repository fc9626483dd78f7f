"""SQLAlchemy statements, compiled and sent straight through psycopg.

SQLAlchemy's own engine would cost half of the calls a second; only its expression language is used.
"""

from collections.abc import Mapping
from typing import Any

from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg
from sqlalchemy.sql.expression import ClauseElement

_DIALECT = PGDialect_psycopg()  # type: ignore[no-untyped-call]


class Query:
    """One statement: its text, and the values of the parameters that are part of it."""

    __slots__ = ("_values", "text")

    def __init__(self, statement: ClauseElement) -> None:
        compiled = statement.compile(dialect=_DIALECT)
        self.text = str(compiled)
        self._values = {
            name: bind.value
            for bind, name in getattr(compiled, "bind_names", {}).items()
            if not bind.required
        }

    def parameters(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """What psycopg needs beside the text: the statement's own values and the given ones."""
        return {**self._values, **given}
