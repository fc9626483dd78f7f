"""What agents say as REST shows it: each kind of event, growing, whole, and cancelled."""

import json
import uuid
from collections.abc import Callable, Iterator
from itertools import dropwhile
from typing import Any

import httpx
import pytest
from kintsugi.v1 import event_pb2 as pb

from server.domain.names import ThreadName, parse_thread
from server.launch.postgres import Postgres
from server.operations.event_writer import Generations
from server.store.connection import Database
from server.store.notifier import Notifier
from server.store.store import Store

CONTENTS = {
    "agent_message": {"content": "Row 3 has no *total*."},
    "tool_call_request": {"tool_call_id": "c1", "display_name": "Shell", "input": "ls"},
    "tool_call_result": {"tool_call_id": "c1", "result": "invoices.csv"},
    "thinking": {"content": "Which row?"},
    "system_message": {"content": "Raised: `boom`"},
    "completion_response": {"content": "Done.", "error": ""},
}
ALWAYS = {"name", "state", "create_time", "update_time", "exception", "kind"}


@pytest.fixture(scope="module")
def agent(stack: Any) -> Iterator[Generations]:
    """An agent beside the servers, on their database."""
    url = Postgres(stack.data_dir, stack.data_dir / "unused.log").url()
    database, notifier = Database(url, connections=2), Notifier(url)
    generations = Generations(Store(database, notifier))
    yield generations
    generations.close()
    notifier.close()
    database.close()


@pytest.fixture
def thread(stack: Any) -> ThreadName:
    """A thread of the test's own."""
    return parse_thread(f"{stack.workspace}/automations/a/runs/{uuid.uuid4().hex}/agents/kai")


@pytest.mark.parametrize("content", CONTENTS)
def test_each_content_is_read_as_it_was_written(
    http: httpx.Client, agent: Generations, thread: ThreadName, content: str
) -> None:
    with agent.begin(thread, pb.Event(**{content: CONTENTS[content]})) as generation:  # type: ignore[arg-type]
        pass
    event = http.get(str(generation.name)).json()
    assert set(event) == ALWAYS | {content}
    assert event[content] == CONTENTS[content]
    assert event["state"] == "STATE_COMPLETE"
    assert http.get(f"{thread}/events").json()["events"] == [event]


def test_an_event_grows_until_its_generation_is_cancelled(
    http: httpx.Client,
    agent: Generations,
    thread: ThreadName,
    until: Callable[[Callable[[], bool], float], bool],
) -> None:
    generation = agent.begin(thread, pb.Event(agent_message=pb.AgentMessage(content="It ")))
    with http.stream("GET", f"{thread}/events:stream") as answer:
        lines = (json.loads(line) for line in answer.iter_lines())
        events = (line["event"] for line in lines if "event" in line)
        begun = next(events)
        assert (begun["state"], begun["agent_message"]) == ("STATE_STREAMING", {"content": "It "})
        generation.append("breaks off")
        grown = next(
            dropwhile(lambda event: "off" not in event["agent_message"]["content"], events)
        )
        assert grown["state"] == "STATE_STREAMING"
        cancelled = http.post(f"{thread}/events:cancelGeneration")
        assert (cancelled.status_code, cancelled.json()) == (200, {})
        assert until(generation.cancelled.is_set, 20)
        whole = next(dropwhile(lambda event: event["state"] == "STATE_STREAMING", events))
    assert whole["agent_message"] == {"content": "It breaks off"}
    assert http.get(str(generation.name)).json() == whole


@pytest.mark.parametrize("body", [None, {}, {"request_id": "once"}])
def test_cancelling_where_nothing_is_generated_does_nothing(
    http: httpx.Client, thread: ThreadName, body: dict[str, str] | None
) -> None:
    answer = http.post(f"{thread}/events:cancelGeneration", json=body)
    assert (answer.status_code, answer.json()) == (200, {})
    assert http.get(f"{thread}/events").json()["total_size"] == 0


def test_nothing_is_cancelled_in_an_unknown_workspace(http: httpx.Client) -> None:
    parent = "organizations/local/workspaces/none/automations/a/runs/r/agents/kai"
    answer = http.post(f"{parent}/events:cancelGeneration", json={})
    assert (answer.status_code, answer.json()["code"]) == (404, 5)
