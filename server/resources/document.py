"""Writes the tables of filter fields in docs/filters.md and of roles in docs/security.md.

Out of the declarations; `make gen` runs it, and it is no part of the server.
"""

from pathlib import Path

from kintsugi.v1.member_pb2 import Role

from filters import fill
from server.domain.access import PERMISSIONS
from server.resources.access_token import ACCESS_TOKEN
from server.resources.action import ACTION
from server.resources.agent_session import AGENT_SESSION
from server.resources.audit_entry import AUDIT_ENTRY
from server.resources.connector import CONNECTOR
from server.resources.event import EVENT
from server.resources.exception import EXCEPTION
from server.resources.guide_entry import GUIDE_ENTRY, GUIDE_ENTRY_REVISION
from server.resources.member import MEMBER

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "filters.md"
SECURITY = DOCUMENT.with_name("security.md")
DESCRIBED = {
    "exceptions": EXCEPTION.filters,
    "events": EVENT.filters,
    "guideEntries": GUIDE_ENTRY.filters,
    "agentSessions": AGENT_SESSION.filters,
    "actions": ACTION.filters,
    "connectors": CONNECTOR.filters,
    "auditEntries": AUDIT_ENTRY.filters,
    "members": MEMBER.filters,
    "accessTokens": ACCESS_TOKEN.filters,
}
"""The fields of lists, by what is listed."""

_VERSIONS = {"guideEntryRevisions": GUIDE_ENTRY_REVISION.filters}
_BEGIN, _END = "<!-- roles -->\n", "<!-- end of roles -->"


def written(document: str) -> str:
    """The document with every table as the declarations have it."""
    for name, schema in {**DESCRIBED, **_VERSIONS}.items():
        document = fill(document, name, schema)
    return document


def with_roles(document: str) -> str:
    """The document with the table of what each role may."""
    before, _, rest = document.partition(_BEGIN)
    return f"{before}{_BEGIN}{_roles()}{_END}{rest.partition(_END)[2]}"


def _roles() -> str:
    names = [Role.Name(role).removeprefix("ROLE_").lower() for role in PERMISSIONS]
    rows = [["permission", *names], ["---"] * (len(names) + 1)]
    for permission in sorted(frozenset[str]().union(*PERMISSIONS.values())):
        held = ["yes" if permission in each else "" for each in PERMISSIONS.values()]
        rows.append([f"`{permission}`", *held])
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


if __name__ == "__main__":
    DOCUMENT.write_text(written(DOCUMENT.read_text()))
    SECURITY.write_text(with_roles(SECURITY.read_text()))
