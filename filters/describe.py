"""Writes the docs of a resource's filter fields, out of the schema that filters are checked by."""

from filters.fields import Field
from filters.schema import Schema

_BEGIN = "<!-- fields of {name} -->"
_END = "<!-- end of fields -->"


def describe(schema: Schema) -> str:
    """A Markdown table of the fields, then the ones that a bare literal is looked for in."""
    rows = ["| field | type | operators | order | |", "|---|---|---|---|---|"]
    rows += [_row(path, field) for path, field in schema.fields().items()]
    searched = ", ".join(f"`{operand.path}`" for operand in schema.searched)
    if searched:
        rows += ["", f"A bare word is looked for in {searched}."]
    return "\n".join(rows)


def fill(document: str, name: str, schema: Schema) -> str:
    """The document with the table written between `<!-- fields of NAME -->` and the end marker."""
    before, begin, rest = document.partition(_BEGIN.format(name=name))
    _, end, after = rest.partition(_END)
    if not end:
        raise ValueError(f"the document has no place for the fields of {name}")
    return f"{before}{begin}\n{describe(schema)}\n{end}{after}"


def _row(path: str, field: Field) -> str:
    operators = " ".join(f"`{operator}`" for operator in field.operators)
    cells = [f"`{path}`", field.type_name, operators, _order(field), field.description]
    return f"| {' | '.join(cells)} |"


def _order(field: Field) -> str:
    if not field.orderable:
        return ""
    return "yes, may change while paging" if field.changing else "yes"
