"""What an analysis, or an answer, comes to; how it is come to is the business of reasoners."""

from collections.abc import Sequence
from dataclasses import dataclass

from kintsugi.v1 import agent_session_pb2 as pb

from server.operations.proposals import Proposed


@dataclass(frozen=True)
class Conclusion:
    """The analysis, and the actions to propose, in their order.

    `group` is the id of an exception group for an exception without one; empty leaves it so.
    """

    analysis: pb.Analysis
    actions: Sequence[Proposed]
    group: str = ""
    prompt_tokens: int = 0
    completion_tokens: int = 0


@dataclass(frozen=True)
class Answer:
    """What is answered to a message of a chat, in CommonMark."""

    text: str
    prompt_tokens: int = 0
    completion_tokens: int = 0
