"""What must be true of an agent session that a caller starts.

Which fields are required, and how large they may be, is declared in the protos.
"""

from kintsugi.v1 import agent_session_pb2 as pb

from server.domain.errors import Violation
from server.domain.names import ExceptionName, WorkspaceName

DEFAULT_AGENT = "agents/resolution_agent"

INVESTIGATION = pb.AgentSession.KIND_INVESTIGATION
CHAT = pb.AgentSession.KIND_CHAT

CHAT_SECONDS = 24 * 60 * 60
"""How long a chat goes on without a message."""

_ONLY_OF_CHATS = "is only of a chat"
_NOT_OF_CHATS = "is not of a chat"


def violations(workspace: WorkspaceName, session: pb.AgentSession) -> list[Violation]:
    """All that is wrong, by fields of the session; empty when nothing is."""
    of_kind = _of_chat if session.kind == CHAT else _of_investigation
    found = of_kind(session)
    if not found and session.exception:
        found = _elsewhere(workspace, session.exception)
    if session.agent not in ("", DEFAULT_AGENT):
        found.append(("agent", f"there is no other than {DEFAULT_AGENT}"))
    return found


def _of_investigation(session: pb.AgentSession) -> list[Violation]:
    found: list[Violation] = []
    if bool(session.exception) == session.HasField("signal"):
        what = "is there, and `signal` too" if session.exception else "is missing, and `signal` too"
        found.append(("exception", f"{what}: one of `exception` and `signal` is required"))
    if session.title:
        found.append(("title", _ONLY_OF_CHATS))
    if session.HasField("context"):
        found.append(("context", _ONLY_OF_CHATS))
    return found


def _of_chat(session: pb.AgentSession) -> list[Violation]:
    found: list[Violation] = []
    if session.HasField("signal"):
        found.append(("signal", _NOT_OF_CHATS))
    if session.start:
        found.append(("start", _NOT_OF_CHATS))
    return found


def _elsewhere(workspace: WorkspaceName, exception: str) -> list[Violation]:
    if ExceptionName.parse(exception).parent == workspace:
        return []
    return [("exception", f"must be an exception of the session's workspace, {workspace}")]
