"""The published stream of events, and the watch: as lines and as server-sent events."""

import json
import os
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

import httpx
import pytest
from kintsugi.v1 import event_service_pb2 as service
from kintsugi.v1.event_service_pb2_grpc import EventServiceStub

from tests.acceptance.event_source import EventSource
from tests.acceptance.streaming import grpc_web_messages

NDJSON, SSE = "application/x-ndjson", "text/event-stream"
every_type = pytest.mark.parametrize("media_type", [NDJSON, SSE])


@pytest.fixture
def thread(stack: Any) -> str:
    """A thread of the test's own."""
    return f"{stack.workspace}/automations/a/runs/{uuid.uuid4().hex}/agents/kai"


def say(http: httpx.Client, thread: str, text: str) -> dict[str, Any]:
    answer = http.post(f"{thread}/events", json={"user_message": {"content": text}})
    assert answer.status_code == 200, answer.text
    event: dict[str, Any] = answer.json()
    return event


@contextmanager
def lines(http: httpx.Client, path: str, **parameters: str) -> Iterator[Iterator[dict[str, Any]]]:
    """The messages of a stream as they come, without those that are a cursor alone."""
    with http.stream("GET", path, params=parameters) as answer:
        assert answer.status_code == 200
        assert answer.headers["content-type"] == NDJSON
        messages = (json.loads(line) for line in answer.iter_lines())
        yield (message for message in messages if "event" in message or "exception" in message)


def test_the_first_line_arrives_before_the_second_is_written(
    http: httpx.Client, thread: str
) -> None:
    first = say(http, thread, "one")
    with lines(http, f"{thread}/events:stream") as messages:
        assert next(messages)["event"] == first
        second = say(http, thread, "two")
        assert next(messages)["event"] == second


def test_a_line_is_an_event_as_published_and_a_cursor(http: httpx.Client, thread: str) -> None:
    said = say(http, thread, "hello")
    with lines(http, f"{thread}/events:stream") as messages:
        message = next(messages)
    assert set(message) == {"event", "cursor"}
    assert message["cursor"]
    assert (
        message["event"]
        == said
        == {
            "name": f"{thread}/events/1",
            "state": "STATE_COMPLETE",
            "create_time": said["create_time"],
            "update_time": said["update_time"],
            "user_message": {"user": "users/local", "content": "hello"},
            "exception": "",
            "kind": "EVENT_KIND_USER_MESSAGE",
        }
    )


def test_a_stream_goes_on_after_a_cursor(http: httpx.Client, thread: str) -> None:
    said = [say(http, thread, str(number)) for number in range(6)]
    with lines(http, f"{thread}/events:stream") as messages:
        cursor = list(islice(messages, 3))[-1]["cursor"]
    with lines(http, f"{thread}/events:stream", after=cursor) as messages:
        assert [message["event"] for message in islice(messages, 3)] == said[3:]


def test_a_stream_can_be_filtered(http: httpx.Client, stack: Any, thread: str) -> None:
    run = thread.partition("/agents/")[0]
    body = {"run": run, "location": {}, "message": "boom"}
    raised = http.post(f"{stack.workspace}/exceptions", json=body).json()["name"]
    said = say(http, thread, "hello")
    filter = "kind = USER_MESSAGE"
    with lines(http, f"{thread}/events:stream", filter=filter) as messages:
        assert next(messages)["event"] == said
    with lines(http, f"{thread}/events:stream", filter=f'exception = "{raised}"') as messages:
        assert "system_message" in next(messages)["event"]


def test_a_stream_over_http2(stack: Any, http: httpx.Client, thread: str) -> None:
    said = say(http, thread, "hello")
    base = f"{stack.rest}/api/v1/"
    with (
        httpx.Client(
            base_url=base, headers=stack.headers, http1=False, http2=True, timeout=30
        ) as http2,
        lines(http2, f"{thread}/events:stream") as messages,
    ):
        assert next(messages)["event"] == said


def test_an_empty_thread_answers_at_once(http: httpx.Client, thread: str) -> None:
    with http.stream("GET", f"{thread}/events:stream") as answer:
        assert set(json.loads(next(answer.iter_lines()))) == {"cursor"}


# Server-sent events


def test_server_sent_events_have_the_cursor_as_id(http: httpx.Client, thread: str) -> None:
    said = [say(http, thread, text) for text in ("one", "two\nlines")]
    with EventSource(http, f"{thread}/events:stream") as source:
        for event, message in zip(said, source, strict=False):
            assert message.event == "message"
            assert json.loads(message.data) == {"event": event, "cursor": message.id}


def test_an_event_source_loses_and_repeats_nothing(http: httpx.Client, thread: str) -> None:
    said = [say(http, thread, str(number)) for number in range(4)]
    source = EventSource(http, f"{thread}/events:stream")
    got: list[dict[str, Any]] = []
    while len(got) < 8:
        with source:
            got.append(json.loads(next(source).data)["event"])
        if len(said) < 8:
            said.append(say(http, thread, str(len(said))))
    assert got == said


def test_the_last_event_id_counts_before_the_query(http: httpx.Client, thread: str) -> None:
    """A browser repeats the URL that it began with."""
    said = [say(http, thread, str(number)) for number in range(3)]
    with lines(http, f"{thread}/events:stream") as messages:
        cursors = [message["cursor"] for message in islice(messages, 2)]
    source = EventSource(http, f"{thread}/events:stream?after={cursors[0]}")
    source.last_event_id = cursors[1]
    with source:
        assert json.loads(next(source).data)["event"] == said[2]


def test_an_event_source_of_a_quiet_thread_is_open_at_once(http: httpx.Client, thread: str) -> None:
    source = EventSource(http, f"{thread}/events:stream")
    with source:
        said = say(http, thread, "late")
        assert json.loads(next(source).data)["event"] == said
        assert source.retry is not None


# Watching exceptions


def test_a_change_is_a_line(http: httpx.Client, stack: Any) -> None:
    automation = f"streams-{uuid.uuid4().hex}"
    filter = f'automation = "{automation}" AND state = PENDING'
    body = stack.new_exception(automation)
    with http.stream("GET", f"{stack.workspace}/exceptions:watch", params={"filter": filter}) as on:
        messages = (json.loads(line) for line in on.iter_lines())
        assert next(messages).keys() == {"change", "cursor"}
        raised = http.post(f"{stack.workspace}/exceptions", json=body).json()
        changes = (message for message in messages if "exception" in message)
        added = next(changes)
        assert set(added) == {"change", "exception", "cursor"}
        assert (added["change"], added["exception"]["name"]) == ("CHANGE_ADDED", raised["name"])
        modified = next(changes)
        assert modified["change"] == "CHANGE_MODIFIED"
        assert modified["exception"]["description"]
        http.post(f"{raised['name']}:archive", json={}).raise_for_status()
        removed = next(changes)
        assert removed["change"] == "CHANGE_REMOVED"
        assert removed["exception"]["state"] == "EXCEPTION_STATE_ARCHIVED"


def test_a_change_is_a_server_sent_event(http: httpx.Client, stack: Any) -> None:
    automation = f"streams-{uuid.uuid4().hex}"
    body = stack.new_exception(automation)
    path = f'{stack.workspace}/exceptions:watch?filter=automation="{automation}"'
    source = EventSource(http, path)
    with source:
        first = http.post(f"{stack.workspace}/exceptions", json=body).json()
        for _ in ("raised", "described"):
            assert json.loads(next(source).data)["exception"]["name"] == first["name"]
    body = stack.new_exception(automation)
    second = http.post(f"{stack.workspace}/exceptions", json=body).json()
    with source:
        assert json.loads(next(source).data)["exception"]["name"] == second["name"]


# Errors


@every_type
@pytest.mark.parametrize(
    ("path", "code", "reason"),
    [
        (
            "organizations/local/workspaces/nope/automations/a/runs/r/agents/kai/events:stream",
            404,
            "RESOURCE_NOT_FOUND",
        ),
        (
            "organizations/local/workspaces/default/agentSessions/nope/events:stream",
            404,
            "RESOURCE_NOT_FOUND",
        ),
        ("organizations/local/workspaces/nope/exceptions:watch", 404, "RESOURCE_NOT_FOUND"),
        (
            "organizations/local/workspaces/default/exceptions:watch?filter=nope=1",
            400,
            "FILTER_TYPE",
        ),
        ("organizations/local/workspaces/default/exceptions:watch?filter=(", 400, "FILTER_SYNTAX"),
        (
            "organizations/local/workspaces/default/exceptions:watch?after=nope",
            400,
            "CURSOR_INVALID",
        ),
        (
            "organizations/local/workspaces/default/exceptions:watch?nope=1",
            400,
            "MALFORMED_REQUEST",
        ),
    ],
)
def test_errors_are_one_record(
    http: httpx.Client, media_type: str, path: str, code: int, reason: str
) -> None:
    status = refused(http, path, media_type, code)
    assert status["code"] == {404: 5, 400: 3}[code]
    assert [one["reason"] for one in status["details"] if "reason" in one] == [reason]


def refused(http: httpx.Client, path: str, media_type: str, code: int) -> dict[str, Any]:
    answer = http.get(path, headers={"accept": media_type})
    assert answer.status_code == code, answer.text
    assert answer.headers["content-type"] == media_type
    begin, end = ("data: ", "\n\n") if media_type == SSE else ("", "\n")
    assert answer.text.startswith(begin)
    assert answer.text.endswith(end)
    status: dict[str, Any] = json.loads(answer.text.removeprefix(begin))
    assert set(status) == {"code", "message", "details"}
    return status


@every_type
def test_no_parameter_leads_to_another_thread(
    http: httpx.Client, thread: str, media_type: str
) -> None:
    say(http, f"{thread}2", "theirs")
    mine = say(http, thread, "mine")
    path = f"{thread}/events:stream?parent={thread}2"
    with http.stream("GET", path, headers={"accept": media_type}) as answer:
        shown = next(line for line in answer.iter_lines() if mine["name"] in line)
    assert "theirs" not in shown


# Other ways, and ends


def test_grpcurl_streams(http: httpx.Client, stack: Any, thread: str) -> None:
    say(http, thread, "one")
    binary = str(Path(sys.executable).with_name("grpcurl"))
    method = "kintsugi.v1.EventService/StreamEvents"
    argv = [binary, "-plaintext", "-H", f"authorization: Bearer {stack.token}"]
    argv += ["-d", json.dumps({"parent": thread}), stack.edge, method]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        shown = iter(process.stdout.readline, "")
        assert any('"content": "one"' in line for line in shown)
        say(http, thread, "two")
        assert any('"content": "two"' in line for line in shown)
        process.kill()


@pytest.mark.skipif("KINTSUGI_SOAK" not in os.environ, reason="takes longer than a call may")
@pytest.mark.timeout(180)
@pytest.mark.parametrize("way", ["gRPC", "gRPC-Web", NDJSON, SSE])
def test_a_quiet_stream_outlives_every_timeout(
    stack: Any, http: httpx.Client, thread: str, way: str
) -> None:
    with cursors(stack, thread, way) as following:
        next(following)
        begun = time.monotonic()
        while time.monotonic() - begun < 40:
            next(following)
        say(http, thread, "late")
        assert next(following)


@contextmanager
def cursors(stack: Any, thread: str, way: str) -> Iterator[Iterator[str]]:
    request = service.StreamEventsRequest(parent=thread)
    if way == "gRPC":
        with stack.channel() as channel:
            stream = EventServiceStub(channel).StreamEvents(request)
            yield (message.cursor for message in stream)
    elif way == "gRPC-Web":
        message = request.SerializeToString()
        body = b"\0" + len(message).to_bytes(4, "big") + message
        url = f"{stack.rest}/kintsugi.v1.EventService/StreamEvents"
        headers = {"content-type": "application/grpc-web"}
        with stack.http.stream("POST", url, content=body, headers=headers, timeout=30) as answer:
            yield (message.cursor for message in grpc_web_messages(answer.iter_raw()))
    else:
        url = f"{stack.rest}/api/v1/{thread}/events:stream"
        with stack.http.stream("GET", url, headers={"accept": way}, timeout=30) as answer:
            yield (line for line in answer.iter_lines() if "cursor" in line or "id: " in line)


def test_everything_stops_in_time_and_tells_those_who_follow(start_up: Any) -> None:
    stack = start_up("--port", "0", "--workers", "2")
    thread = f"{stack.workspace}/automations/a/runs/r/agents/kai"
    urls = [f"{stack.rest}/api/v1/{thread}/events:stream"] * 20 + [f"{stack.exceptions}:watch"] * 20
    opened = threading.Barrier(len(urls) + 1)
    last: list[dict[str, Any]] = []

    def follow(url: str) -> None:
        with stack.http.stream("GET", url, timeout=60) as answer:
            following = answer.iter_lines()
            next(following)
            opened.wait(60)
            last.append(json.loads(list(following)[-1]))

    followers = [threading.Thread(target=follow, args=(url,)) for url in urls]
    for follower in followers:
        follower.start()
    opened.wait(60)
    begun = time.monotonic()
    assert stack.stop() == 0
    assert time.monotonic() - begun < 5
    for follower in followers:
        follower.join(30)
    reasons = [message["error"]["details"][0]["reason"] for message in last]
    assert reasons == ["SERVER_STOPPING"] * len(urls)
