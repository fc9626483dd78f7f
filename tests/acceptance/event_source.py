"""An EventSource as the HTML standard has it (§9.2): what a browser makes of server-sent events.

Only its parser and its memory; when to connect again is up to the test.
"""

from collections.abc import Iterator
from contextlib import ExitStack
from typing import NamedTuple, Self

import httpx


class MessageEvent(NamedTuple):
    event: str
    data: str
    id: str


class EventSource:
    """Entered, it connects, with the last id that it got if there is one; iterated over, it
    gives what is dispatched.
    """

    def __init__(self, http: httpx.Client, url: str) -> None:
        self._http = http
        self._url = url
        self._opened = ExitStack()
        self.last_event_id = ""
        self.retry: int | None = None

    def __enter__(self) -> Self:
        headers = {"accept": "text/event-stream", "cache-control": "no-store"}
        if self.last_event_id:
            headers["last-event-id"] = self.last_event_id
        answer = self._opened.enter_context(self._http.stream("GET", self._url, headers=headers))
        assert answer.status_code == 200
        assert answer.headers["content-type"] == "text/event-stream"
        self._events = self._parse(_lines(answer.iter_text()))
        return self

    def __exit__(self, *_: object) -> None:
        self._opened.close()

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> MessageEvent:
        return next(self._events)

    def _parse(self, lines: Iterator[str]) -> Iterator[MessageEvent]:
        kind, data, id = "", "", self.last_event_id
        for line in lines:
            if not line:
                self.last_event_id = id
                if data:
                    yield MessageEvent(kind or "message", data.removesuffix("\n"), id)
                kind = data = ""
                continue
            name, _, value = line.partition(":")
            value = value.removeprefix(" ")
            if name == "event":
                kind = value
            elif name == "data":
                data += f"{value}\n"
            elif name == "id" and "\0" not in value:
                id = value
            elif name == "retry" and value.isdecimal():
                self.retry = int(value)


def _lines(chunks: Iterator[str]) -> Iterator[str]:
    """Whole lines, of which the last one may be missing its end and is then not given."""
    text = ""
    for chunk in chunks:
        *whole, text = (text + chunk).replace("\r\n", "\n").replace("\r", "\n").split("\n")
        yield from whole
