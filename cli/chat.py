"""A chat in the terminal: what is typed is asked, and what is answered is shown as it comes.

Which chat it is, and how one is started and ended, is in `sessions`.
"""

import sys
from collections.abc import Iterator

import click
from kintsugi.v1 import agent_session_pb2 as pb
from kintsugi.v1 import event_pb2
from kintsugi.v1.event_service_pb2 import StreamEventsResponse

from cli.connection import Connection
from cli.conversation import Conversation
from cli.threads import Threads

_ANSWERS = ("agent_message", "completion_response")

Messages = Iterator[StreamEventsResponse | None]


def talk(connection: Connection, chat: pb.AgentSession) -> None:
    """Asks line by line, each once the one before is answered, until there are no more."""
    threads, messages = Threads(connection), None
    conversation = Conversation(growing=sys.stdout.isatty())
    for line in _lines():
        asked = threads.create(chat.thread, event_pb2.UserMessage(content=line))
        if messages is None:
            since = f'create_time >= "{asked.create_time.ToJsonString()}"'
            messages = iter(threads.follow(chat.thread, since))
        _show_answer(messages, asked, conversation)


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


def _show_answer(messages: Messages, asked: event_pb2.Event, conversation: Conversation) -> None:
    """Shows what is said up to the answer."""
    is_asked = False
    for message in messages:
        if message is None or not message.HasField("event"):
            continue
        event = message.event
        if event.name == asked.name:  # stands there as it was typed
            is_asked = True
            continue
        conversation.show(event)
        is_whole = event.state == event_pb2.Event.STATE_COMPLETE
        if is_asked and is_whole and event.WhichOneof("event_data") in _ANSWERS:
            return
