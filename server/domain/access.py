"""Who may do what: roles and their permissions, in the one table there is.

Who has which role is stored; which method needs which permission is said in the protos.
"""

from collections.abc import Mapping
from typing import NamedTuple

from kintsugi.v1 import member_pb2 as pb
from kintsugi.v1.member_pb2 import Role

MANAGE_TOKENS = "accessTokens.manage"
"""To see, make and revoke the tokens of others."""

APPROVE_GUIDE_ENTRIES = "guideEntries.approve"
"""To approve and reject what was learned, and to say that it may resolve by itself."""

_ADDED: dict[Role.ValueType, tuple[str, ...]] = {
    pb.ROLE_VIEWER: (
        *("accessTokens.create", "accessTokens.read", "accessTokens.revoke"),
        "connectors.read",
        "events.read",
        *("exceptionGroups.read", "exceptions.read"),
        "guideEntries.read",
        "view_agent_remediation",
        "workspaces.read",
    ),
    pb.ROLE_RESPONDER: (
        "actions.claim",
        "create_agent_remediation",
        *("events.cancel", "events.create"),
        *("exceptions.archive", "exceptions.create", "exceptions.resolve", "exceptions.update"),
        *("guideEntries.create", "guideEntries.update"),
    ),
    pb.ROLE_APPROVER: (
        "execute_agent_remediation",
        *(APPROVE_GUIDE_ENTRIES, "guideEntries.delete"),
    ),
    pb.ROLE_ADMIN: (
        MANAGE_TOKENS,
        "auditEntries.read",
        *("connectors.create", "connectors.delete", "connectors.update"),
        "exceptionGroups.update",
        *("members.create", "members.delete", "members.read", "members.update"),
        "workspaces.update",
    ),
    pb.ROLE_OWNER: ("workspaces.create",),
}
"""What each role may that the one before it may not."""

_SERVICE = (
    "actions.claim",
    "decisions.log",
    *("events.cancel", "events.create", "events.read"),
    *("exceptions.create", "exceptions.read"),
    "guideEntries.read",
    "view_agent_remediation",
    "workspaces.read",
)


def _permissions() -> dict[Role.ValueType, frozenset[str]]:
    """In the order of the roles."""
    found: dict[Role.ValueType, frozenset[str]] = {}
    sum_: frozenset[str] = frozenset()
    for role, added in _ADDED.items():
        sum_ = found[role] = sum_ | frozenset(added)
    return found | {pb.ROLE_SERVICE: frozenset(_SERVICE)}


PERMISSIONS: Mapping[Role.ValueType, frozenset[str]] = _permissions()
"""All that each role may."""


class Membership(NamedTuple):
    """What a caller may do in one workspace, with the token it came with."""

    uid: str
    permissions: frozenset[str]
    role: Role.ValueType = pb.ROLE_UNSPECIFIED
    features: frozenset[str] = frozenset()


def may_give(role: Role.ValueType, giver: Role.ValueType) -> bool:
    """Whether who has the role `giver` may give the other: none above its own."""
    if role == pb.ROLE_SERVICE:
        return giver in (pb.ROLE_ADMIN, pb.ROLE_OWNER, role)
    return giver != pb.ROLE_SERVICE and role <= giver


def common_role(role: Role.ValueType, other: Role.ValueType) -> Role.ValueType | None:
    """The lesser of a token's and its principal's; None where they have nothing in common."""
    if pb.ROLE_SERVICE in (role, other):
        return role if role == other else None
    return min(role, other)
