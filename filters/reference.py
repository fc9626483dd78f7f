"""What the fields that name another resource share: they hold ids, which have no wildcards."""

from sqlalchemy import types

from filters.ast import Literal
from filters.fields import ColumnField, wrong


class Reference(ColumnField):
    """The id or the name of a resource, in a text column; an unset one counts as empty."""

    sql_type = types.Text()
    zero = ""

    def convert(self, literal: Literal) -> str:
        # No id has a star, so this would never match; it is meant as on a string.
        if literal.wildcards:
            raise wrong(literal, "an id", "ids have no wildcards; of several, write (a OR b)")
        return literal.text
