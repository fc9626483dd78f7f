"""Writes the table of settings in docs/operating.md, out of `server/config.py`.

`make gen` runs it; it is no part of the server.
"""

from pathlib import Path
from typing import Literal, get_args, get_origin

from pydantic.fields import FieldInfo

from server.config import Settings

DOCUMENT = Path(__file__).resolve().parents[1] / "docs" / "operating.md"

_BEGIN, _END = "<!-- settings -->\n", "<!-- end of settings -->"
_HEAD = "| variable | default | bounds | what it is |\n|---|---|---|---|\n"
_BOUNDS = {"ge": "from {}", "gt": "above {}", "le": "to {}", "lt": "below {}"}


def written(document: str) -> str:
    """The document with the table as the settings have it."""
    before, begin, rest = document.partition(_BEGIN)
    _, end, after = rest.partition(_END)
    if not (begin and end):
        raise ValueError("the document has no place for the settings")
    rows = "".join(_row(name, field) for name, field in Settings.model_fields.items())
    return f"{before}{begin}\n{_HEAD}{rows}\n{end}{after}"


def _row(name: str, field: FieldInfo) -> str:
    variable = f"`{Settings.model_config['env_prefix']}{name.upper()}`"
    return f"| {variable} | {_default(field)} | {_bounds(field)} | {field.description} |\n"


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    default = field.default
    return "" if default is None else f"`{str(default).lower()}`"


def _bounds(field: FieldInfo) -> str:
    found: list[str] = []
    for bound in field.metadata:
        found += [
            text.format(f"{getattr(bound, name):g}")
            for name, text in _BOUNDS.items()
            if getattr(bound, name, None) is not None
        ]
    if get_origin(field.annotation) is Literal:
        found += [f"`{each}`" for each in get_args(field.annotation)]
    return ", ".join(found)


if __name__ == "__main__":
    DOCUMENT.write_text(written(DOCUMENT.read_text()))
