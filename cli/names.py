"""Short names made whole: an id, or `exceptions/ID`, means one in the workspace in use.

What a name may look like is in the domain; whether the thing exists, only the service knows.
"""

import click

from cli import settings
from server.domain.errors import InvalidName
from server.domain.names import ExceptionName, ResourceName, RunName, WorkspaceName


def workspace() -> str:
    return _checked(WorkspaceName, settings.workspace(), "a workspace")


def exception(text: str) -> str:
    """`ID`, `exceptions/ID` or the full name, as the full name."""
    return _checked(ExceptionName, _in_workspace("exceptions", text), "an exception")


def run(automation: str, run: str) -> str:
    """The full name of a run, from ids, short names or its full name."""
    if not run.startswith("organizations/"):
        run = f"{_in_workspace('automations', automation)}/runs/{run.removeprefix('runs/')}"
    return _checked(RunName, run, "a run")


def user(text: str) -> str:
    """`users/ID` for an id; nothing stays nothing."""
    return text if not text or text.startswith("users/") else f"users/{text}"


def short(name: str) -> str:
    """The shortest form of an exception's name that means the same everywhere by default."""
    return name.removeprefix(f"{settings.DEFAULT_WORKSPACE}/exceptions/")


def _in_workspace(collection: str, text: str) -> str:
    if text.startswith("organizations/"):
        return text
    return f"{workspace()}/{collection}/{text.removeprefix(collection + '/')}"


def _checked(kind: type[ResourceName], name: str, what: str) -> str:
    try:
        return str(kind.parse(name))
    except InvalidName:
        message = f"{name!r} is not the name of {what}: it must have the form {kind.PATTERN}"
        raise click.UsageError(message) from None
