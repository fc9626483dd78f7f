"""Resource names (AIP-122): a pattern, its ids, and back to text.

What the names refer to, and whether it exists, is not known here.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from operator import attrgetter
from typing import Any, ClassVar, Self, TypeAlias

from server.domain.errors import InvalidName

ID = r"[A-Za-z0-9_][A-Za-z0-9_.~@+-]{0,127}"
"""Never empty, `-`, `.` or `..`, and nothing in it that a URL would have to escape."""

LOCAL_OWNER = "local"
"""The user whom `kintsugi up` makes the owner. No identity provider's is taken for it."""

_VARIABLE = re.compile(r"\{(\w+)\}")


@cache
def compile_pattern(pattern: str) -> re.Pattern[str]:
    """`users/{user}` as a regular expression with a group for each id."""
    return re.compile(_VARIABLE.sub(rf"(?P<\1>{ID})", pattern))


@dataclass(frozen=True, slots=True)
class ResourceName:
    """The name of one kind of resource; its fields are the ids of the pattern, in order."""

    PATTERN: ClassVar[str]

    @classmethod
    def parse(cls, text: str) -> Self:
        """`users/ada` as `UserName("ada")`. Raises InvalidName."""
        match = compile_pattern(cls.PATTERN).fullmatch(text)
        if match is None:
            raise InvalidName(text, cls.PATTERN)
        return cls(*match.groups())

    def __str__(self) -> str:
        template, ids = _writer(self.PATTERN)
        text: str = template % ids(self)
        return text


@cache
def _writer(pattern: str) -> tuple[str, Callable[[Any], Any]]:
    return _VARIABLE.sub("%s", pattern), attrgetter(*_VARIABLE.findall(pattern))


@dataclass(frozen=True, slots=True)
class OrganizationName(ResourceName):
    PATTERN = "organizations/{organization}"
    organization: str


@dataclass(frozen=True, slots=True)
class WorkspaceName(ResourceName):
    PATTERN = "organizations/{organization}/workspaces/{workspace}"
    organization: str
    workspace: str

    @property
    def parent(self) -> OrganizationName:
        return OrganizationName(self.organization)

    @property
    def id(self) -> str:
        return self.workspace


@dataclass(frozen=True, slots=True)
class InWorkspace(ResourceName):
    """The name of a resource that lives in a workspace."""

    organization: str
    workspace: str

    @property
    def parent(self) -> WorkspaceName:
        return WorkspaceName(self.organization, self.workspace)


@dataclass(frozen=True, slots=True)
class ExceptionName(InWorkspace):
    PATTERN = "organizations/{organization}/workspaces/{workspace}/exceptions/{exception}"
    exception: str

    @property
    def id(self) -> str:
        return self.exception


@dataclass(frozen=True, slots=True)
class ExceptionGroupName(InWorkspace):
    PATTERN = (
        "organizations/{organization}/workspaces/{workspace}/exceptionGroups/{exception_group}"
    )
    exception_group: str

    @property
    def id(self) -> str:
        return self.exception_group


@dataclass(frozen=True, slots=True)
class MemberName(InWorkspace):
    PATTERN = "organizations/{organization}/workspaces/{workspace}/members/{member}"
    member: str

    @property
    def id(self) -> str:
        return self.member


@dataclass(frozen=True, slots=True)
class AccessTokenName(InWorkspace):
    PATTERN = "organizations/{organization}/workspaces/{workspace}/accessTokens/{access_token}"
    access_token: str

    @property
    def id(self) -> str:
        return self.access_token


@dataclass(frozen=True, slots=True)
class UserName(ResourceName):
    PATTERN = "users/{user}"
    user: str


@dataclass(frozen=True, slots=True)
class AuditEntryName(InWorkspace):
    PATTERN = "organizations/{organization}/workspaces/{workspace}/auditEntries/{audit_entry}"
    audit_entry: str

    @property
    def id(self) -> str:
        return self.audit_entry


@dataclass(frozen=True, slots=True)
class AutomationName(InWorkspace):
    PATTERN = "organizations/{organization}/workspaces/{workspace}/automations/{automation}"
    automation: str


@dataclass(frozen=True, slots=True)
class AnyAutomationName(InWorkspace):
    """All automations of a workspace, as the parent of what they have (AIP-159)."""

    PATTERN = "organizations/{organization}/workspaces/{workspace}/automations/-"


def parse_automations(text: str) -> AutomationName | AnyAutomationName:
    """One automation, or all of a workspace. Raises InvalidName."""
    return (AnyAutomationName if text.endswith("/-") else AutomationName).parse(text)


@dataclass(frozen=True, slots=True)
class GuideEntryName:
    """The name of a guide entry; with any automation as the parent, it means the one with the id.

    Ids are of the whole workspace.
    """

    parent: AutomationName | AnyAutomationName
    id: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Raises InvalidName."""
        automation, _, id = text.rpartition("/guideEntries/")
        if not re.fullmatch(ID, id):
            raise InvalidName(text, f"{AutomationName.PATTERN}/guideEntries/{{guide_entry}}")
        return cls(parse_automations(automation), id)

    def __str__(self) -> str:
        return f"{self.parent}/guideEntries/{self.id}"


@dataclass(frozen=True, slots=True)
class RunName(InWorkspace):
    PATTERN = (
        "organizations/{organization}/workspaces/{workspace}/automations/{automation}/runs/{run}"
    )
    automation: str
    run: str


@dataclass(frozen=True, slots=True)
class RunAgentName(InWorkspace):
    """An agent of a run: the name of a thread."""

    PATTERN = (
        "organizations/{organization}/workspaces/{workspace}"
        "/automations/{automation}/runs/{run}/agents/{agent}"
    )
    automation: str
    run: str
    agent: str


@dataclass(frozen=True, slots=True)
class AgentSessionName(InWorkspace):
    """An agent session: the name of a thread, if the session belongs to no run."""

    PATTERN = "organizations/{organization}/workspaces/{workspace}/agentSessions/{agent_session}"
    agent_session: str

    @property
    def id(self) -> str:
        return self.agent_session


@dataclass(frozen=True, slots=True)
class AnyAgentSessionName(InWorkspace):
    """All agent sessions of a workspace, as the parent of a list."""

    PATTERN = "organizations/{organization}/workspaces/{workspace}/agentSessions/-"


def parse_agent_sessions(text: str) -> AgentSessionName | AnyAgentSessionName:
    """One agent session, or all of a workspace. Raises InvalidName."""
    return (AnyAgentSessionName if text.endswith("/-") else AgentSessionName).parse(text)


@dataclass(frozen=True, slots=True)
class ActionName(InWorkspace):
    PATTERN = (
        "organizations/{organization}/workspaces/{workspace}"
        "/agentSessions/{agent_session}/actions/{action}"
    )
    agent_session: str
    action: str

    @property
    def parent(self) -> AgentSessionName:  # type: ignore[override]  # the session is in it
        return AgentSessionName(self.organization, self.workspace, self.agent_session)

    @property
    def id(self) -> str:
        return self.action


@dataclass(frozen=True, slots=True)
class ConnectorName(InWorkspace):
    PATTERN = "organizations/{organization}/workspaces/{workspace}/connectors/{connector}"
    connector: str

    @property
    def id(self) -> str:
        return self.connector


ThreadName: TypeAlias = RunAgentName | AgentSessionName
"""What events belong to."""


def parse_thread(text: str) -> ThreadName:
    """Raises InvalidName."""
    kind = AgentSessionName if "/agentSessions/" in text else RunAgentName
    return kind.parse(text)


@dataclass(frozen=True, slots=True)
class EventName:
    """The name of an event; it has one of two patterns, by its thread."""

    parent: ThreadName
    id: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Raises InvalidName."""
        thread, _, id = text.rpartition("/events/")
        if not re.fullmatch(ID, id):
            raise InvalidName(text, f"{RunAgentName.PATTERN}/events/{{event}}")
        return cls(parse_thread(thread), id)

    def __str__(self) -> str:
        return f"{self.parent}/events/{self.id}"
