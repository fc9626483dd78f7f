"""What must be true of an agent session that a caller starts.

Which fields are required, and how large they may be, is declared in the protos.
"""

import re

from kintsugi.v1 import agent_session_pb2 as pb

from server.domain.errors import Violation
from server.domain.names import ID, ExceptionName, WorkspaceName

DEFAULT_AGENT = "agents/resolution_agent"

_AGENT = re.compile(f"agents/{ID}")


def violations(workspace: WorkspaceName, session: pb.AgentSession) -> list[Violation]:
    """All that is wrong, by fields of the session; empty when nothing is."""
    found: list[Violation] = []
    if bool(session.exception) == session.HasField("signal"):
        found.append(("exception", "takes either this or `signal`, and not both"))
    elif session.exception and ExceptionName.parse(session.exception).parent != workspace:
        found.append(("exception", f"must be an exception of the session's workspace, {workspace}"))
    if session.agent and not _AGENT.fullmatch(session.agent):
        found.append(("agent", f"{session.agent[:100]!r} doesn't have the form agents/AGENT"))
    return found
