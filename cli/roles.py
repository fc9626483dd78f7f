"""Roles as people type and read them: `approver` for ROLE_APPROVER.

What each may do is said in the service's documentation.
"""

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from kintsugi.v1.member_pb2 import Role

ROLES = ("viewer", "responder", "approver", "admin", "owner", "service")

role_option = click.option(
    "--role", required=True, type=click.Choice(ROLES), help="What may be done."
)


def value(role: str) -> "Role.ValueType":
    from kintsugi.v1.member_pb2 import Role

    return Role.Value(f"ROLE_{role.upper()}")


def shown(role: "Role.ValueType") -> str:
    from kintsugi.v1.member_pb2 import Role

    from cli.screen import enum_label

    return enum_label(Role, role, "ROLE_").lower()
