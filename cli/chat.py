"""A chat in the terminal: what is typed is asked, and what is answered is shown as it comes.

Which chat it is, and how one is started and ended, is in `sessions`.
"""

import sys
from collections.abc import Iterable, Iterator

import click
from kintsugi.v1 import agent_session_pb2 as pb
from kintsugi.v1 import event_pb2
from kintsugi.v1.event_service_pb2 import StreamEventsResponse

from cli.connection import Connection
from cli.conversation import Conversation
from cli.threads import Threads

_QUESTION = "user_message"
_ANSWERS = ("agent_message", "completion_response")
_QUESTIONS_AND_ANSWERS = "kind = USER_MESSAGE OR kind = AGENT_MESSAGE OR kind = COMPLETION_RESPONSE"

Messages = Iterable[StreamEventsResponse | None]


def talk(connection: Connection, chat: pb.AgentSession) -> None:
    """Asks line by line, each once the one before is answered, until there are no more."""
    threads, reading = Threads(connection), None
    for line in _lines():
        asked = threads.create(chat.thread, event_pb2.UserMessage(content=line))
        if reading is None:
            since = f'create_time >= "{asked.create_time.ToJsonString()}"'
            messages = threads.follow(chat.thread, f"{_QUESTIONS_AND_ANSWERS} OR {since}")
            reading = Reading(messages, Conversation(growing=sys.stdout.isatty()))
        reading.show_answer(asked)


def _lines() -> Iterator[str]:
    asks = sys.stdin.isatty()
    while True:
        if asks:
            click.echo("> ", nl=False, err=True)
        line = sys.stdin.buffer.readline()
        if not line:
            return
        if text := line.decode(errors="replace").strip():
            yield text


class Reading:
    """What is said in a chat, from the first question on that is asked here.

    It is read from the beginning, as answers come in the order of the questions: those of others
    that aren't answered yet come first, and are shown with who asked.
    """

    def __init__(self, messages: Messages, conversation: Conversation) -> None:
        self._messages = iter(messages)
        self._conversation = conversation
        self._unanswered: list[event_pb2.Event] = []
        self._shows = False

    def show_answer(self, asked: event_pb2.Event) -> None:
        """Shows what is said up to the answer, or to the end of the chat."""
        for message in self._messages:
            if message is None or not message.HasField("event"):
                continue
            event = message.event
            if event.name == asked.name:  # stands there as it was typed
                self._begin()
            elif self._shows:
                self._conversation.show(event)
            if self._is_last(event, asked):
                return

    def _begin(self) -> None:
        for question in () if self._shows else self._unanswered:
            self._conversation.show(question)
        self._shows = True

    def _is_last(self, event: event_pb2.Event, asked: event_pb2.Event) -> bool:
        """Whether it answers what was asked, or ends the chat."""
        kind = event.WhichOneof("event_data")
        if kind == _QUESTION:
            self._unanswered.append(event)
        if kind not in _ANSWERS or event.state != event_pb2.Event.STATE_COMPLETE:
            return False
        question = self._unanswered.pop(0) if self._unanswered else event
        return question.name == asked.name or bool(event.completion_response.content)
