"""What a chat shows of questions and answers where more than one person asks."""

from collections.abc import Iterator
from typing import Any

import pytest
from kintsugi.v1 import event_pb2 as pb
from kintsugi.v1.event_service_pb2 import StreamEventsResponse

from cli.chat import Reading
from cli.conversation import Conversation

WHOLE = pb.Event.STATE_COMPLETE


def question(id: int, user: str = "me") -> pb.Event:
    said = pb.UserMessage(user=f"users/{user}", content=f"question {id}")
    return pb.Event(name=f"events/{id}", state=WHOLE, user_message=said)


def answer(id: int, text: str, state: Any = WHOLE) -> pb.Event:
    return pb.Event(name=f"events/{id}", state=state, agent_message=pb.AgentMessage(content=text))


def end(id: int) -> pb.Event:
    said = pb.CompletionResponse(content="Ended.")
    return pb.Event(name=f"events/{id}", state=WHOLE, completion_response=said)


def failed(id: int) -> pb.Event:
    said = pb.CompletionResponse(error="no answer")
    return pb.Event(name=f"events/{id}", state=WHOLE, completion_response=said)


def stream(*events: pb.Event) -> Iterator[StreamEventsResponse | None]:
    yield StreamEventsResponse(cursor="1")
    yield None
    for event in events:
        yield StreamEventsResponse(event=event, cursor="1")
    raise AssertionError("it reads on after the answer")


def shown(capsys: pytest.CaptureFixture[str]) -> list[str]:
    """Who said what, without the times."""
    lines = capsys.readouterr().out.splitlines()
    return [" ".join(line.split()[1:]) for line in lines if not line.endswith("(UTC)")]


def test_the_own_question_is_not_repeated_and_what_was_said_before_is_not_shown(
    capsys: pytest.CaptureFixture[str],
) -> None:
    asked, next_asked = question(3), question(5)
    before = (question(1, "ada"), answer(2, "old"))
    messages = stream(*before, asked, answer(4, "one"), next_asked, answer(6, "two"))
    reading = Reading(messages, Conversation())
    reading.show_answer(asked)
    assert shown(capsys) == ["agent one"]
    reading.show_answer(next_asked)
    assert shown(capsys) == ["agent two"]


def test_an_answer_to_somebody_else_is_shown_with_who_asked_and_does_not_count_as_the_own(
    capsys: pytest.CaptureFixture[str],
) -> None:
    asked = question(2)
    messages = stream(
        question(1, "ada"), asked, answer(3, "for ada"), question(4, "eve"), answer(5, "for me")
    )
    Reading(messages, Conversation()).show_answer(asked)
    assert shown(capsys) == [
        "ada question 1",
        "agent for ada",
        "eve question 4",
        "agent for me",
    ]


def test_what_others_ask_between_two_questions_is_shown_with_who_asked(
    capsys: pytest.CaptureFixture[str],
) -> None:
    first, second = question(1), question(5)
    between = (question(3, "ada"), answer(4, "for ada"))
    messages = stream(first, answer(2, "one"), *between, second, answer(6, "two"))
    reading = Reading(messages, Conversation())
    reading.show_answer(first)
    reading.show_answer(second)
    assert shown(capsys) == ["agent one", "ada question 3", "agent for ada", "agent two"]


def test_an_answer_counts_when_it_is_whole_and_one_that_failed_too(
    capsys: pytest.CaptureFixture[str],
) -> None:
    asked = question(2)
    growing = answer(4, "for", pb.Event.STATE_STREAMING)
    messages = stream(question(1, "ada"), asked, failed(3), growing, answer(4, "for me"))
    Reading(messages, Conversation()).show_answer(asked)
    assert shown(capsys) == ["ada question 1", "agent failed: no answer", "agent for me"]


def test_nothing_is_waited_for_when_the_chat_has_ended() -> None:
    asked = question(2)
    Reading(stream(question(1, "ada"), asked, end(3)), Conversation()).show_answer(asked)
