"""Server-sent events, as an EventSource client reads them and comes back."""

import json
import re
from typing import Any

import grpc
import pytest
from kintsugi.v1 import event_source_service_pb2_grpc
from kintsugi.v1.exception_service_pb2 import WatchExceptionsRequest

from tests.integration.client import WORKSPACE, Client, reason
from tests.integration.following import frames, new_thread

Frame = tuple[str, Any]


def read(call: Any, count: int) -> list[Frame]:
    """The ids and the data of so many frames that have data."""
    found: list[Frame] = []
    for body in call:
        assert body.content_type == "text/event-stream"
        assert body.data.endswith(b"\n\n")
        match = re.fullmatch(r"id: (\S+)\n(?:data: ([^\r\n]+)\n)?\n", body.data.decode())
        if match and match[2]:
            found.append((match[1], json.loads(match[2])))
        if len(found) == count:
            break
    call.cancel()
    return found


def test_the_first_frame_comes_before_anything_happens(client: Client) -> None:
    call = frames(client, new_thread())
    assert next(call).data == b"retry: 1000\n\n"
    call.cancel()


def test_a_frame_has_the_cursor_as_its_id_and_the_json_of_the_message(client: Client) -> None:
    thread = new_thread()
    said = client.say(thread, "two\r\nlines \u2028 and \u00e4")
    [(id, data)] = read(frames(client, thread), 1)
    assert data["cursor"] == id
    assert data["event"]["name"] == said.name
    assert data["event"]["state"] == "STATE_COMPLETE"
    assert data["event"]["user_message"]["content"] == "two\r\nlines \u2028 and \u00e4"
    assert data["event"]["exception"] == ""  # a default is printed
    assert "error" not in data


def test_the_last_event_id_counts_before_after(client: Client) -> None:
    thread = new_thread()
    said = [client.say(thread, str(n)).name for n in range(4)]
    got = read(frames(client, thread), 4)
    cursors = [id for id, _ in got]
    for metadata, after, rest in (
        ([], cursors[0], said[1:]),
        ([("last-event-id", cursors[2])], cursors[0], said[3:]),
        ([("last-event-id", "")], cursors[0], said[1:]),
    ):
        again = read(frames(client, thread, metadata, after=after), len(rest))
        assert [data["event"]["name"] for _, data in again] == rest


def test_a_damaged_last_event_id_is_refused(client: Client) -> None:
    with pytest.raises(grpc.RpcError) as error:
        next(frames(client, new_thread(), [("last-event-id", "nonsense")]))
    assert reason(error.value) == "CURSOR_INVALID"


def test_exceptions_are_watched_the_same_way(client: Client) -> None:
    stub = event_source_service_pb2_grpc.EventSourceServiceStub(client.channel)
    call = stub.WatchExceptions(WatchExceptionsRequest(parent=WORKSPACE))
    next(call)
    raised = client.raise_one()
    [(id, data)] = read(call, 1)
    assert (data["cursor"], data["change"]) == (id, "CHANGE_ADDED")
    assert data["exception"]["name"] == raised.name
