"""The way to the service: one channel, calls with deadlines that are repeated, streams to follow.

What is called is in `client` and `threads`; how errors read is in `errors`.
"""

import time
import uuid
from collections.abc import Iterator
from math import inf
from typing import Any, TypeVar

import grpc
from google.protobuf.message import Message

from cli import settings
from cli.errors import ServiceError
from cli.following import Following, Streamed, Tell
from cli.terminal import say

Request = TypeVar("Request", bound=Message)
Answer = TypeVar("Answer", bound=Message)

DEADLINE = 10.0
PAGE = 100
PAUSES = (0.2, 0.5, 1.0)
"""Seconds before a call that found nobody is made again. All calls may be:
reads change nothing, and a mutation repeats its request id."""

_OPTIONS = (
    ("grpc.enable_http_proxy", 0),
    ("grpc.initial_reconnect_backoff_ms", 200),
    ("grpc.max_reconnect_backoff_ms", 5000),
    ("grpc.max_receive_message_length", -1),
    # A connection that died without a word is found out by pings, while calls are open.
    ("grpc.keepalive_time_ms", 20_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.http2.max_pings_without_data", 0),
)


class Connection:
    """Makes calls of any stub on `channel`. Each raises ServiceError."""

    def __init__(self, server: settings.Server, token: str = "") -> None:
        self._server = str(server)
        self._metadata = (("authorization", f"Bearer {token}"),) if token else ()
        self.channel = _channel(server)

    @classmethod
    def from_environment(cls) -> "Connection":
        return cls(settings.server(), settings.token())

    def call(
        self,
        method: "grpc.UnaryUnaryMultiCallable[Request, Answer]",
        request: Request,
        seconds: float = DEADLINE,
    ) -> Answer:
        """The answer. A mutation without a request id gets one: it may be repeated then."""
        _identify(request)
        for pause in PAUSES:
            try:
                return self._call_once(method, request, seconds)
            except ServiceError as error:
                if not error.found_nobody:
                    raise
            time.sleep(pause)
        return self._call_once(method, request, seconds)

    def pages(
        self,
        method: "grpc.UnaryUnaryMultiCallable[Request, Answer]",
        asked: Request,
        limit: float = inf,
    ) -> Iterator[Answer]:
        """The pages of a list, with at most `limit` rows in all."""
        request: Any = type(asked)()
        request.CopyFrom(asked)
        while limit > 0:
            request.page_size = min(limit, PAGE)
            page: Any = self.call(method, request)
            yield page
            limit -= _rows(page)
            request.page_token = page.next_page_token
            if not page.next_page_token:
                return

    def follow(
        self,
        method: "grpc.UnaryStreamMultiCallable[Request, Streamed]",
        request: Request,
        *,
        reached: bool = False,
        until: float | None = None,
        tell: Tell = say,
    ) -> Iterator[Streamed | None]:
        """The stream's messages, from the request's `after` on; see Following."""

        def open_stream(after: str) -> Iterator[Streamed]:
            asked = type(request)()
            asked.CopyFrom(request)
            if after:
                asked.after = after  # type: ignore[attr-defined]  # every stream's request has it
            return method(asked, metadata=self._metadata)

        following = Following(open_stream, self._server, reached=reached, until=until, tell=tell)
        return iter(following)

    def _call_once(
        self,
        method: "grpc.UnaryUnaryMultiCallable[Request, Answer]",
        request: Request,
        seconds: float,
    ) -> Answer:
        try:
            return method(request, timeout=seconds, metadata=self._metadata)
        except grpc.RpcError as error:
            raise ServiceError.of_call(error, self._server) from None


def _identify(request: Any) -> None:
    if "request_id" in request.DESCRIPTOR.fields_by_name and not request.request_id:
        request.request_id = str(uuid.uuid4())


def _rows(page: Message) -> int:
    """How many there are in the one list that a page has."""
    return next((len(value) for field, value in page.ListFields() if field.is_repeated), 0)


def _channel(server: settings.Server) -> grpc.Channel:
    if server.tls:
        credentials = grpc.ssl_channel_credentials()
        return grpc.secure_channel(server.address, credentials, _OPTIONS)
    return grpc.insecure_channel(server.address, _OPTIONS)
