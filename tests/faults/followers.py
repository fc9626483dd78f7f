"""Clients that follow a thread in the three ways there are, and resume whenever a stream ends.

What they are put through is said in the tests.
"""

import json
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import islice
from typing import Any

import grpc
import httpx
from kintsugi.v1 import event_pb2 as pb
from kintsugi.v1 import event_service_pb2 as service
from kintsugi.v1.event_service_pb2_grpc import EventServiceStub

Message = tuple[str, str]
"""A cursor, and the name of the whole event that came with it, or nothing."""

Connect = Callable[[Any, str, str], Iterator[Message]]
"""Opens a stream of a thread of a stack after a cursor."""

WRITERS = 8
SILENCE = 30.0
"""Seconds without even a cursor after which a client gives a connection up."""


def over_grpc(stack: Any, thread: str, after: str) -> Iterator[Message]:
    with stack.channel() as channel:
        request = service.StreamEventsRequest(parent=thread, after=after)
        try:
            for message in EventServiceStub(channel).StreamEvents(request):
                if message.HasField("error"):
                    return
                whole = message.event.state == pb.Event.STATE_COMPLETE
                yield message.cursor, message.event.name if whole else ""
        except grpc.RpcError:
            return


def over_ndjson(stack: Any, thread: str, after: str) -> Iterator[Message]:
    for line in _lines(stack, thread, {"after": after}, {}):
        yield from _message(json.loads(line))


def over_server_sent_events(stack: Any, thread: str, after: str) -> Iterator[Message]:
    headers = {"accept": "text/event-stream", "last-event-id": after}
    cursor, data = "", ""
    for line in _lines(stack, thread, {}, headers):
        if line.startswith("id: "):
            cursor = line.removeprefix("id: ")
        elif line.startswith("data: "):
            data += line.removeprefix("data: ")
        elif not line and (cursor or data):
            yield from _message(json.loads(data)) if data else [(cursor, "")]
            cursor, data = "", ""


WAYS: dict[str, Connect] = {
    "gRPC": over_grpc,
    "NDJSON": over_ndjson,
    "server-sent events": over_server_sent_events,
}


class Follower:
    """Reads a thread in one way, dropping its stream after every `drop_after` messages if given."""

    def __init__(self, stack: Any, thread: str, way: str, drop_after: int | None = None) -> None:
        self._connect = WAYS[way]
        self._stack, self._thread = stack, thread
        self._drop_after = drop_after
        self._cursor = ""
        self.names: list[str] = []
        self.connections = 0

    def until(self, is_over: Callable[[list[str]], bool]) -> list[str]:
        """The names of the whole events, in the order in which they came."""
        while not is_over(self.names):
            self.connections += 1
            stream = self._connect(self._stack, self._thread, self._cursor)
            for cursor, name in islice(stream, self._drop_after):
                self._cursor = cursor or self._cursor
                self.names += [name] if name else []
                if is_over(self.names):
                    break
            else:
                time.sleep(0 if self._drop_after else 0.1)
        return self.names


class Writers:
    """Write into a thread at once, each message again until it is acknowledged."""

    def __init__(self, stack: Any, thread: str, each: int, padding: int = 0) -> None:
        self._url = f"{stack.rest}/api/v1/{thread}/events"
        self._each = each
        self._headers = stack.headers
        self._padding = "x" * padding
        self._over = threading.Event()
        self.written: list[str] = []
        self.refused: list[str] = []

    @contextmanager
    def running(self) -> Iterator[None]:
        """On leaving, whatever is to be written was."""
        with ThreadPoolExecutor(WRITERS) as pool:
            writers = [pool.submit(self._write, number) for number in range(WRITERS)]
            yield
            for writer in writers:
                writer.result()

    def _write(self, number: int) -> None:
        with httpx.Client(headers=self._headers, timeout=20) as client:
            for count in range(self._each):
                text = f"message {count} of writer {number} {self._padding}"
                self.written.append(self._say(client, text))

    def _say(self, client: httpx.Client, text: str) -> str:
        parameters = {"request_id": uuid.uuid4().hex}
        while True:
            try:
                body = {"user_message": {"content": text}}
                answer = client.post(self._url, params=parameters, json=body)
            except httpx.HTTPError:
                time.sleep(0.1)
                continue
            if answer.status_code == 200:
                return str(answer.json()["name"])
            # 499: a server that stops cancels the calls that it had accepted and not begun.
            if answer.status_code not in (429, 499, 500, 502, 503, 504):
                self.refused.append(answer.text)
                raise AssertionError(answer.text)
            time.sleep(0.1)


def new_thread(stack: Any) -> str:
    return f"{stack.workspace}/automations/billing/runs/{uuid.uuid4().hex}/agents/kai"


def log_of(stack: Any, thread: str) -> list[str]:
    """The names of all events of a thread, oldest first, as the list has them."""
    names: list[str] = []
    token = ""
    while True:
        parameters: dict[str, str | int] = {"page_size": 1000, "page_token": token}
        url = f"{stack.rest}/api/v1/{thread}/events"
        try:
            answer = stack.http.get(url, params=parameters, timeout=30)
        except (httpx.NetworkError, httpx.RemoteProtocolError):  # Envoy ends, or is not back yet
            time.sleep(0.2)
            continue
        if answer.status_code == 503:  # what broke is not whole again yet
            time.sleep(0.2)
            continue
        page = answer.raise_for_status().json()
        names += [event["name"] for event in page["events"]]
        token = page["next_page_token"]
        if not token:
            return names[::-1]


def _lines(
    stack: Any, thread: str, parameters: dict[str, str], headers: dict[str, str]
) -> Iterator[str]:
    url = f"{stack.rest}/api/v1/{thread}/events:stream"
    try:
        with stack.http.stream(
            "GET", url, params=parameters, headers=headers, timeout=SILENCE
        ) as answer:
            if answer.status_code == 200:
                yield from answer.iter_lines()
    except httpx.HTTPError:
        return


def _message(message: dict[str, Any]) -> Iterator[Message]:
    if "error" not in message:
        event = message.get("event", {})
        whole = event.get("state") == "STATE_COMPLETE"
        yield message["cursor"], event["name"] if whole else ""
