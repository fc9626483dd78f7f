"""What the service itself says in a run's thread about the exceptions of the run."""

import os
import random
import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import pytest
from kintsugi.v1 import event_pb2
from kintsugi.v1 import exception_pb2 as pb

from tests.integration.client import Client, batch, new_exception, new_run, reason
from tests.integration.conftest import StartServer

SOAK = bool(os.environ.get("KINTSUGI_SOAK"))


def thread(client: Client, run: str) -> list[event_pb2.Event]:
    """All that was said, the oldest first."""
    page = client.list_events(f"{run}/agents/kai", page_size=1000)
    assert not page.next_page_token
    return list(reversed(page.events))


def said(client: Client, run: str) -> list[str]:
    return [event.system_message.content for event in thread(client, run)]


def test_a_run_s_thread_begins_with_what_was_raised(client: Client) -> None:
    raised = client.raise_one(message="KeyError: 'total'")
    [event] = thread(client, raised.run)
    assert event.name == f"{raised.run}/agents/kai/events/1"
    assert event.exception == raised.name
    assert event.state == event_pb2.Event.STATE_COMPLETE
    assert event.kind == event_pb2.EVENT_KIND_SYSTEM_MESSAGE
    assert event.system_message.content == "Raised: `KeyError: 'total'`"


def test_what_the_run_says_is_no_markdown(client: Client) -> None:
    raised = client.raise_one(message="a\n```\n# Resolved\n```")
    assert said(client, raised.run) == ["Raised:\n\n````\na\n```\n# Resolved\n```\n````"]


def test_an_exception_raised_again_is_counted(client: Client) -> None:
    exception = new_exception()
    names = {client.create(exception).name for _ in range(3)}
    assert len(names) == 1
    events = thread(client, exception.run)
    assert [event.system_message.content for event in events[1:]] == [
        "Raised again, 2 times by now.",
        "Raised again, 3 times by now.",
    ]
    assert {event.exception for event in events} == names


def test_the_output_of_the_run_stands_behind_what_was_raised(client: Client) -> None:
    raised = client.raise_one(extra={"output": "line 1\nline 2", "host": "worker-3"})
    told, output = thread(client, raised.run)
    assert told.kind == event_pb2.EVENT_KIND_SYSTEM_MESSAGE
    assert output.kind == event_pb2.EVENT_KIND_TOOL_CALL_RESULT
    assert output.tool_call_result.result == "line 1\nline 2"
    assert output.tool_call_result.tool_call_id
    assert output.exception == raised.name


def test_every_transition_is_told_with_who_did_it(client: Client) -> None:
    raised = client.raise_one()
    client.update("assignee", name=raised.name, assignee="users/ada")
    client.update("assignee", name=raised.name, assignee="users/bob")
    client.update("assignee", name=raised.name)
    client.archive(raised.name)
    client.unarchive(raised.name)
    client.resolve(raised.name, resolution_note="the column was `renamed`")
    assert said(client, raised.run)[1:7] == [
        "Assigned to users/ada by users/local.",
        "Assigned to users/bob by users/local.",
        "Unassigned by users/local.",
        "Archived by users/local.",
        "Unarchived by users/local.",
        "Resolved by users/local: `` the column was `renamed` ``",
    ]
    assert {event.exception for event in thread(client, raised.run)} == {raised.name}


def test_resolving_without_a_note_says_so(client: Client) -> None:
    raised = client.raise_one()
    client.resolve(raised.name)
    assert said(client, raised.run)[1:] == ["Resolved by users/local."]


def test_what_nobody_needs_to_know_is_not_said(client: Client) -> None:
    raised, request_id = client.raise_one(assignee="users/ada"), str(uuid.uuid4())
    client.update("group", "extra", name=raised.name, group="missing_values", extra={"a": "b"})
    client.update("assignee", name=raised.name, assignee="users/ada")
    with pytest.raises(grpc.RpcError):
        client.unarchive(raised.name)
    client.resolve(raised.name, request_id=request_id)
    client.resolve(raised.name, request_id=request_id)
    assert len(said(client, raised.run)) == 2


def test_a_repeated_create_says_nothing_more(client: Client) -> None:
    exception, request_id = new_exception(extra={"output": "x"}), str(uuid.uuid4())
    for _ in range(3):
        client.create(exception, request_id)
    assert len(thread(client, exception.run)) == 2


def test_a_batch_says_in_each_run_what_happened_there(client: Client) -> None:
    first, second = new_run(), new_run()
    raised = [
        new_exception(run=first, message="a"),
        new_exception(run=second, message="b", extra={"output": "out"}),
        new_exception(run=first, message="c"),
        new_exception(run=first, message="a"),
    ]
    request_id = str(uuid.uuid4())
    stored = batch(client, *raised, request_id=request_id)
    assert batch(client, *raised, request_id=request_id)[1] == stored[1]
    assert stored[0].name == stored[3].name
    assert [(event.system_message.content, event.exception) for event in thread(client, first)] == [
        ("Raised: `a`", stored[0].name),
        ("Raised: `c`", stored[2].name),
        ("Raised again, 2 times by now.", stored[0].name),
    ]
    told, output = thread(client, second)
    assert told.system_message.content == "Raised: `b`"
    assert (output.tool_call_result.result, output.exception) == ("out", stored[1].name)


def test_a_batch_that_is_refused_says_nothing(client: Client) -> None:
    run, request_id = new_run(), str(uuid.uuid4())
    batch(client, new_exception(run=run), request_id=request_id)
    with pytest.raises(grpc.RpcError) as error:
        batch(client, new_exception(run=run, message="other"), request_id=request_id)
    assert reason(error.value) == "REQUEST_ID_REUSED"
    assert len(said(client, run)) == 1


def test_whoever_does_what_at_once_nobody_waits_for_ever(start_server: StartServer) -> None:
    clients = [start_server(), start_server()]
    runs = [new_run() for _ in range(3)]
    messages = [f"message {number}" for number in range(5)]
    rounds = 60 if SOAK else 12

    def exception(dice: random.Random) -> pb.Exception:
        return new_exception(run=dice.choice(runs), message=dice.choice(messages))

    def work(seed: int) -> int:
        dice, client = random.Random(seed), clients[seed % 2]
        raised = 0
        for number in range(rounds):
            match number % 3:
                case 0:
                    count = dice.randint(2, 12)
                    batch(client, *(exception(dice) for _ in range(count)))
                    raised += count
                case 1:
                    client.create(exception(dice))
                    raised += 1
                case 2:
                    change(client, client.create(exception(dice)).name, dice)
                    raised += 1
        return raised

    with ThreadPoolExecutor(16) as pool:
        raised = sum(pool.map(work, range(16)))
    texts = [text for run in runs for text in said_in_all(clients[0], run)]
    assert sum(text.startswith("Raised") for text in texts) == raised


def change(client: Client, name: str, dice: random.Random) -> None:
    """Assigns or resolves; another may have resolved it before."""
    if dice.random() < 0.5:
        client.update("assignee", name=name, assignee=f"users/{dice.randint(0, 9)}")
        return
    try:
        client.resolve(name)
    except grpc.RpcError as error:
        assert reason(error) == "ILLEGAL_TRANSITION"  # noqa: PT017


def said_in_all(client: Client, run: str) -> list[str]:
    texts: list[str] = []
    parameters: dict[str, Any] = {"page_size": 1000}
    while True:
        page = client.list_events(f"{run}/agents/kai", **parameters)
        texts += [event.system_message.content for event in page.events]
        if not page.next_page_token:
            return texts
        parameters["page_token"] = page.next_page_token
