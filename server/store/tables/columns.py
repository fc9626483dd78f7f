"""What tables are declared with: their metadata, and the kinds of their columns.

The tables themselves are beside this module.
"""

from typing import Any

from sqlalchemy import Column, MetaData
from sqlalchemy.dialects.postgresql import TIMESTAMP, UUID
from sqlalchemy.types import UserDefinedType

MASKED = "masked"
"""Marks a column that the change record must not have."""

metadata = MetaData()


class TransactionId(UserDefinedType[str]):
    """PostgreSQL's xid8: 64 bits, never reused within a cluster."""

    cache_ok = True

    def get_col_spec(self, **_: Any) -> str:
        return "XID8"


def column(name: str, kind: Any, *, nullable: bool = False, **options: Any) -> Column[Any]:
    return Column(name, kind, nullable=nullable, **options)


def uuid(name: str) -> Column[Any]:
    return column(name, UUID(as_uuid=False))


def time(name: str, *, nullable: bool = False) -> Column[Any]:
    return column(name, TIMESTAMP(timezone=True), nullable=nullable)
