"""How events read: like a chat, the newest last, whole or growing."""

from datetime import UTC, datetime
from typing import Any

import pytest
from kintsugi.v1 import event_pb2 as pb

from cli.conversation import Conversation, text, who

THREAD = "organizations/local/workspaces/default/automations/a/runs/1/agents/kai"
MARGIN = " " * 20


def event(
    id: int = 1, *, state: "pb.Event.State.ValueType" = pb.Event.STATE_COMPLETE, **content: Any
) -> pb.Event:
    return pb.Event(
        name=f"{THREAD}/events/{id}",
        state=state,
        create_time=datetime(2026, 11, 22, 12, 0, id, tzinfo=UTC),
        **content,
    )


def agent(id: int, content: str, *, whole: bool = False) -> pb.Event:
    state = pb.Event.STATE_COMPLETE if whole else pb.Event.STATE_STREAMING
    return event(id, state=state, agent_message=pb.AgentMessage(content=content))


def user(content: str) -> pb.UserMessage:
    return pb.UserMessage(user="users/ada", content=content)


def result(content: str) -> pb.Event:
    return event(tool_call_result=pb.ToolCallResult(tool_call_id="1", result=content))


FILES = pb.UserMessage(
    user="users/ada",
    content_list=pb.InputContentList(
        items=[
            pb.InputContent(text="look"),
            pb.InputContent(
                file=pb.FileInputContent(
                    inline=pb.FileContent(mime_type="text/csv", content=b"a,b", filename="a.csv")
                )
            ),
            pb.InputContent(file=pb.FileInputContent(remote="https://example.com/b")),
        ]
    ),
)


@pytest.mark.parametrize(
    ("content", "name", "said"),
    [
        ({"user_message": user("hello\n")}, "ada", "hello"),
        (
            {"user_message": FILES},
            "ada",
            "look\n[file a.csv: text/csv, 3 bytes]\n[file https://example.com/b]",
        ),
        ({"agent_message": pb.AgentMessage(content="hm")}, "kai", "hm"),
        (
            {"tool_call_request": pb.ToolCallRequest(display_name="grep", input="1003")},
            "kai",
            "calls grep: 1003",
        ),
        ({"tool_call_result": pb.ToolCallResult(result="none")}, "tool", "none"),
        ({"thinking": pb.Thinking(content="why")}, "kai", "(thinking) why"),
        ({"system_message": pb.SystemMessage(content="Raised.")}, "system", "Raised."),
        ({"completion_response": pb.CompletionResponse(content="ok")}, "kai", "ok"),
        ({"completion_response": pb.CompletionResponse(error="no")}, "kai", "failed: no"),
        ({}, "system", "(something that this version of kintsugi doesn't know)"),
    ],
)
def test_everything_that_can_be_said_reads_as_who_and_what(
    content: dict[str, Any], name: str, said: str
) -> None:
    one = event(**content)
    assert (who(one), text(one).strip()) == (name, said)


def test_events_read_as_a_chat_with_a_line_a_day(capsys: pytest.CaptureFixture[str]) -> None:
    conversation = Conversation()
    conversation.show(event(1, system_message=pb.SystemMessage(content="Raised.")))
    conversation.show(event(2, user_message=user("first\nsecond")))
    later = event(3, user_message=user("later"))
    later.create_time.FromDatetime(datetime(2026, 11, 23, tzinfo=UTC))
    conversation.show(later)
    assert capsys.readouterr().out == (
        "2026-11-22 (UTC)\n"
        "12:00:01  system    Raised.\n"
        "12:00:02  ada       first\n"
        f"{MARGIN}second\n"
        "2026-11-23 (UTC)\n"
        "00:00:00  ada       later\n"
    )


def test_nothing_that_others_say_acts_on_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    evil = event(
        user_message=pb.UserMessage(user="users/\x1b[2J", content="\x1b]0;gotcha\x07\x9b1m")
    )
    Conversation().show(evil)
    shown = capsys.readouterr().out
    assert "\x1b" not in shown
    assert "\x9b" not in shown
    assert "\\x1b[2J" in shown


def test_a_long_tool_call_shows_its_beginning_its_end_and_what_shows_all() -> None:
    lines = [str(number) for number in range(100)]
    shown = text(result("\n".join(lines))).split("\n")
    assert shown[:3] == lines[:3]
    assert shown[3] == "… 90 lines left out: --full shows them …"
    assert shown[4:] == lines[-7:]
    assert text(result("x" * 1000)) == "x" * 300 + " …"
    assert text(result("\n".join(lines)), full=True).split("\n") == lines


def test_what_people_and_agents_say_is_never_shortened() -> None:
    long = "\n".join(["x" * 1000] * 50)
    assert text(agent(1, long)) == text(event(user_message=user(long))) == long


def growing() -> Conversation:
    return Conversation(growing=True)


def test_what_is_generated_grows_where_it_stands(capsys: pytest.CaptureFixture[str]) -> None:
    conversation, shown = growing(), ""
    for said in ("", "It", "It was", "It was\n", "It was\nrow 3"):
        conversation.show(agent(1, said))
        shown = capsys.readouterr().out
        assert not shown.endswith("It was\nrow 3\n")
    conversation.show(agent(1, "It was\nrow 3.\n", whole=True))
    assert (shown, capsys.readouterr().out) == (f"\n{MARGIN}row 3", ".\n")


def test_what_others_say_meanwhile_stands_between(capsys: pytest.CaptureFixture[str]) -> None:
    conversation = growing()
    conversation.show(agent(1, "It"))
    conversation.show(event(2, user_message=user("well?")))
    conversation.show(agent(1, "It was"))
    conversation.show(agent(1, "It was me", whole=True))
    assert capsys.readouterr().out.splitlines()[1:] == [
        "12:00:01  kai       It",
        "12:00:02  ada       well?",
        "12:00:01  kai       …  was me",
    ]


def test_two_that_grow_at_once_stay_apart(capsys: pytest.CaptureFixture[str]) -> None:
    conversation = growing()
    for id, said in ((1, "a"), (2, "x"), (1, "ab"), (2, "xy")):
        conversation.show(agent(id, said))
    conversation.show(agent(2, "xyz", whole=True))
    conversation.show(agent(1, "abc", whole=True))
    said = [line[20:] for line in capsys.readouterr().out.splitlines()[1:]]
    assert said == ["a", "x", "… b", "… yz", "… c"]


def test_in_a_pipe_only_what_is_whole_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    conversation = Conversation()
    conversation.show(agent(1, "It"))
    assert capsys.readouterr().out == ""
    conversation.show(agent(1, "It was", whole=True))
    assert capsys.readouterr().out.endswith("kai       It was\n")


def test_a_tool_call_is_shown_when_it_is_whole(capsys: pytest.CaptureFixture[str]) -> None:
    request = pb.ToolCallRequest(display_name="grep", input="10")
    growing().show(event(state=pb.Event.STATE_STREAMING, tool_call_request=request))
    assert capsys.readouterr().out == ""


def test_a_line_that_still_grows_is_ended_before_something_else(
    capsys: pytest.CaptureFixture[str],
) -> None:
    conversation = growing()
    conversation.show(agent(1, "It"))
    conversation.end_line()
    conversation.end_line()
    conversation.show(agent(1, "It was", whole=True))
    assert [line[20:] for line in capsys.readouterr().out.splitlines()[1:]] == ["It", "…  was"]
