"""What must be true of an agent session that a caller starts.

Which fields are required, and how large they may be, is declared in the protos.
"""

from kintsugi.v1 import agent_session_pb2 as pb

from server.domain.errors import Violation
from server.domain.names import ExceptionName, WorkspaceName

DEFAULT_AGENT = "agents/resolution_agent"


def violations(workspace: WorkspaceName, session: pb.AgentSession) -> list[Violation]:
    """All that is wrong, by fields of the session; empty when nothing is."""
    found: list[Violation] = []
    if bool(session.exception) == session.HasField("signal"):
        what = "is there, and `signal` too" if session.exception else "is missing, and `signal` too"
        found.append(("exception", f"{what}: one of `exception` and `signal` is required"))
    elif session.exception and ExceptionName.parse(session.exception).parent != workspace:
        found.append(("exception", f"must be an exception of the session's workspace, {workspace}"))
    if session.agent not in ("", DEFAULT_AGENT):
        found.append(("agent", f"there is no other than {DEFAULT_AGENT}"))
    return found
