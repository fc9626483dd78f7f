"""Writes the tables of filter fields in docs/filters.md, out of the declarations.

`make gen` runs it; it is no part of the server.
"""

from pathlib import Path

from filters import fill
from server.resources.access_token import ACCESS_TOKEN
from server.resources.audit_entry import AUDIT_ENTRY
from server.resources.event import EVENT
from server.resources.exception import EXCEPTION
from server.resources.guide_entry import GUIDE_ENTRY, GUIDE_ENTRY_REVISION
from server.resources.member import MEMBER

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "filters.md"
DESCRIBED = {
    "exceptions": EXCEPTION.filters,
    "events": EVENT.filters,
    "guideEntries": GUIDE_ENTRY.filters,
    "auditEntries": AUDIT_ENTRY.filters,
    "members": MEMBER.filters,
    "accessTokens": ACCESS_TOKEN.filters,
}
"""The fields of lists, by what is listed."""

_VERSIONS = {"guideEntryRevisions": GUIDE_ENTRY_REVISION.filters}


def written(document: str) -> str:
    """The document with every table as the declarations have it."""
    for name, schema in {**DESCRIBED, **_VERSIONS}.items():
        document = fill(document, name, schema)
    return document


if __name__ == "__main__":
    DOCUMENT.write_text(written(DOCUMENT.read_text()))
