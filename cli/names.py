"""Short names made whole: an id, or `exceptions/ID`, means one in the workspace in use.

What a name may look like is in the domain; whether the thing exists, only the service knows.
"""

import click

from cli import settings
from server.domain.errors import InvalidName
from server.domain.names import (
    AccessTokenName,
    AgentSessionName,
    AutomationName,
    ConnectorName,
    ExceptionName,
    GuideEntryName,
    MemberName,
    ResourceName,
    RunName,
    WorkspaceName,
    parse_thread,
)

AGENT = "kai"
"""The agent in whose thread the service itself speaks about a run."""


def workspace(text: str = "") -> str:
    """`ID`, `workspaces/ID` or the full name, as the full name; nothing means the one in use."""
    if text:
        return _whole(WorkspaceName, text, "a workspace", "billing", organization())
    text = settings.workspace()
    try:
        return str(WorkspaceName.parse(text))
    except InvalidName:
        what = "it must be organizations/ORGANIZATION/workspaces/WORKSPACE, such as"
        message = f"KINTSUGI_WORKSPACE is {text!r}; {what} {settings.DEFAULT_WORKSPACE}"
        raise click.UsageError(message) from None


def organization() -> str:
    """That of the workspace in use."""
    return workspace().partition("/workspaces/")[0]


def exception(text: str) -> str:
    """`ID`, `exceptions/ID` or the full name, as the full name."""
    return _whole(ExceptionName, text, "an exception", "0193a1b2")


def agent_session(text: str) -> str:
    """`ID`, `agentSessions/ID` or the full name, as the full name."""
    return _whole(AgentSessionName, text, "an agent session", "0193a1b2")


def connector(text: str) -> str:
    """`ID`, `connectors/ID` or the full name, as the full name."""
    return _whole(ConnectorName, text, "a connector", "reprocess")


def run(automation: str, run: str) -> str:
    """The full name of a run, from ids, short names or its full name."""
    parent = "" if run.startswith("organizations/") else automations(automation)
    return _whole(RunName, run, "a run", "2026-11-22", parent)


def guide_entry(text: str) -> str:
    """The full name of a guide entry, from `ID`, `automations/A/guideEntries/ID` or itself.

    With an id alone, the automation in it is `-`, which stands for any.
    """
    if text.startswith("organizations/"):
        name = text
    elif text.startswith("automations/"):
        name = f"{workspace()}/{text}"
    else:
        name = f"{automations('')}/guideEntries/{text.removeprefix('guideEntries/')}"
    try:
        return str(GuideEntryName.parse(name))
    except InvalidName:
        message = (
            f"{text!r} names no guide entry: it must be an id, automations/A/guideEntries/ID,"
            " or a full name"
        )
        raise click.UsageError(message) from None


def automations(text: str) -> str:
    """The full name of an automation, from its id, short or full name; of all without one."""
    if not text:
        return f"{workspace()}/automations/-"
    return _whole(AutomationName, text, "an automation", "billing")


def is_of(text: str, collection: str = "") -> bool:
    """Whether the text says that it names one of this collection, or of any; an id says nothing."""
    return "/" in text and text.rpartition("/")[0].endswith(collection)


def is_exception(text: str) -> bool:
    """Whether the text can only mean an exception: an id, `exceptions/ID` or a full name."""
    return "/" not in text or is_of(text, "exceptions")


def thread(text: str, agent: str = "") -> str:
    """The full name of a thread: of a run's agent, `kai` where none is named, or of a session.

    From `automations/A/runs/R`, `automations/A/runs/R/agents/G`, `agentSessions/S` or a full name.
    """
    name = text if text.startswith("organizations/") else f"{workspace()}/{text}"
    if "/agents/" in name or "/agentSessions/" in name:
        if agent:
            raise click.UsageError(f"{text} names its agent already: leave --agent out.")
    else:
        name = of_agent(name, agent)
    try:
        return str(parse_thread(name))
    except InvalidName:
        message = (
            f"{text!r} names no thread: it must be an exception (its id), "
            "a run (automations/A/runs/R), one of its agents (…/agents/G) or a full name"
        )
        raise click.UsageError(message) from None


def of_agent(run: str, agent: str = "") -> str:
    """The thread of an agent of a run with this full name."""
    return f"{run}/agents/{agent or AGENT}"


def user(text: str) -> str:
    """`users/ID` for an id; nothing stays nothing."""
    return text if not text or text.startswith("users/") else f"users/{text}"


def member(text: str) -> str:
    """`ID`, `members/ID`, `users/ID` or the full name, as the full name."""
    return _whole(MemberName, text.removeprefix("users/"), "a member", "ada")


def access_token(text: str) -> str:
    """`ID`, `accessTokens/ID` or the full name, as the full name."""
    return _whole(AccessTokenName, text, "an access token", "0193a1b2")


def short(name: str) -> str:
    """The shortest form of an exception's name that means the same everywhere by default."""
    return name.removeprefix(f"{settings.DEFAULT_WORKSPACE}/exceptions/")


def short_agent_session(name: str) -> str:
    """The shortest form of a session's name that means the same everywhere by default."""
    return name.removeprefix(f"{settings.DEFAULT_WORKSPACE}/agentSessions/")


def short_guide_entry(name: str) -> str:
    """The shortest form of a guide entry's name that means the same everywhere by default."""
    is_default = name.startswith(f"{settings.DEFAULT_WORKSPACE}/automations/")
    return name.rpartition("/")[2] if is_default else name


def _whole(kind: type[ResourceName], text: str, what: str, example: str, parent: str = "") -> str:
    """The full name for an id, a short name or itself, in the workspace if no parent is given."""
    collection = kind.PATTERN.split("/")[-2]
    full = f"{parent or workspace()}/{collection}/"
    name = text if text.startswith("organizations/") else full + text.removeprefix(f"{collection}/")
    try:
        return str(kind.parse(name))
    except InvalidName:
        message = (
            f"{text!r} is not the name of {what}: it must be an id of letters, digits and _.~@+-,"
            f" such as {example}, or a full name, such as {full}{example}"
        )
        raise click.UsageError(message) from None
