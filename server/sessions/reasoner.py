"""What a reasoner is: it looks at what a session is about and concludes what to do about it, or
answers what is asked.

The reasoners themselves are in `reasoners/`; who runs them is in `analysis.py` and `chat.py`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from kintsugi.v1 import agent_session_pb2 as pb
from kintsugi.v1 import exception_pb2

from server.domain.names import WorkspaceName
from server.operations.conclusion import Answer, Conclusion
from server.operations.proposals import Proposed

__all__ = ["Answer", "Conclusion", "Proposed", "Reasoner", "Subject", "Work"]


@dataclass(frozen=True)
class Subject:
    """What is to be analysed. `workspace` is the uid of `parent`; `exception` is as it is now, None
    if the session is about none."""

    workspace: str
    parent: WorkspaceName
    session: pb.AgentSession
    exception: exception_pb2.Exception | None


class Work(Protocol):
    """What a reasoner may do; all of it is told in the session's thread, each key once.

    A key names a step within the session; the same one means the same step whenever the session
    is taken up again. Any of these raises when the session is to stop.
    """

    def tool(self, key: str, title: str, input: str, run: Callable[[], Any]) -> Any:
        """Runs once, whatever happens: the JSON-able result of an earlier run is answered from
        the journal. A run that was cut off is repeated."""

    def think(self, key: str, text: str) -> None:
        """Says, as thinking, what it considers."""

    def say(self, key: str, text: str) -> None:
        """Says something to whoever reads along."""

    def check(self) -> None:
        """Raises Stopped if the session is cancelled, out of time, or another worker's."""


class Reasoner(Protocol):
    def analyse(self, subject: Subject, work: Work) -> Conclusion:
        """Concludes, or raises: then it is tried again, a few times."""

    def answer(self, subject: Subject, question: str, work: Work) -> Answer:
        """Answers what was asked in a chat, or raises as above. `work` is about this one message;
        what it says itself comes before the answer."""
