"""What becomes of a chat: each message is answered once, in their order, and in the end it ends.

Each is one transaction of the worker that holds it; what people do is in `chats.py`.
"""

from typing import NamedTuple

from kintsugi.v1 import event_pb2

from server.domain.agent_session_rules import CHAT_SECONDS
from server.domain.agent_session_state import ACTIVE, ENDED
from server.operations.conclusion import Answer
from server.operations.session_progress import count_tokens, tell_tokens
from server.operations.session_turn import GOING_ON, NEVER, Desk, Turn
from server.resources.event import EVENT
from server.store import chats, leases, session_steps
from server.store.leases import Due, Lease

_NOBODY_WROTE = f"nobody wrote for {CHAT_SECONDS // 3600} hours"


class Message(NamedTuple):
    """Something that was asked; `id` is that of its event. Its answer may take so many seconds."""

    id: int
    text: str
    seconds_left: float


def next_message(desk: Desk, lease: Lease, seconds: float) -> Message | None:
    """The first that isn't answered, of which the answer may take so long from the first time on.

    None if there is none: then the chat is due when nobody has written for long enough, and if
    that is now, it has ENDED. Raises Superseded, LeaseLost.
    """
    with desk.turn(lease, "AnswerMessage") as turn:
        turn.check(ACTIVE)
        row = chats.next_message(turn.transaction, lease.workspace, lease.name)
        if row is None:
            _rest(turn)
            return None
        left = turn.held.analysis_left
        if left is None:
            leases.limit_analysis(turn.transaction, lease, seconds)
        event = EVENT.read(event_pb2.Event, str(lease.name), row)
        id = int(event.name.rpartition("/")[2])
        return Message(id, _text(event.user_message), seconds if left is None else left)


def answer(desk: Desk, lease: Lease, message: Message, found: Answer) -> None:
    """Says what is answered. Raises Superseded, LeaseLost."""
    with desk.turn(lease, "AnswerMessage") as turn:
        tell_tokens(turn, found)
        turn.change(lambda session: count_tokens(session, found))
        said = event_pb2.AgentMessage(content=found.text)
        _finish(turn, message, event_pb2.Event(agent_message=said))


def give_up(desk: Desk, lease: Lease, message: Message, error: str) -> None:
    """Says that there is no answer, and why. Raises Superseded, LeaseLost."""
    with desk.turn(lease, "AnswerMessage") as turn:
        response = event_pb2.CompletionResponse(error=error)
        _finish(turn, message, event_pb2.Event(completion_response=response))


def _finish(turn: Turn, message: Message, said: event_pb2.Event) -> None:
    turn.check(ACTIVE)
    chats.answered(turn.transaction, turn.lease, message.id)
    session_steps.forget(turn.transaction, turn.workspace, turn.name.id)
    turn.say(said)
    turn.schedule(GOING_ON)


def _rest(turn: Turn) -> None:
    left = turn.held.expires_in or 0
    if left > 0:
        turn.schedule(Due(left))
    else:
        turn.move(ENDED, NEVER, _NOBODY_WROTE)


def _text(message: event_pb2.UserMessage) -> str:
    """What is written in it, without files."""
    return message.content or "\n".join(item.text for item in message.content_list.items)
