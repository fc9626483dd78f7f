"""Requests to follow something, answered: checked first, then a stream until the caller hangs up.

What ends a stream in its midst is told in a last message, since REST could not show it otherwise.
"""

from collections.abc import Iterator
from typing import Any

import grpc
from kintsugi.v1.event_service_pb2 import StreamEventsRequest, StreamEventsResponse
from kintsugi.v1.exception_service_pb2 import WatchExceptionsRequest, WatchExceptionsResponse

from filters import Schema, compile_predicate
from server.domain.call import current_call
from server.domain.errors import KintsugiError
from server.domain.names import WorkspaceName, parse_thread
from server.domain.status import status_of
from server.logs import internal_error
from server.resources.choice import refused
from server.resources.event import FILTERS as EVENT_FILTERS
from server.resources.exception import FILTERS as EXCEPTION_FILTERS
from server.store.events import thread_workspace
from server.streams.change_log import ChangeLog
from server.streams.event_log import EventLog
from server.streams.hub import Hub
from server.streams.log import Log, Matches
from server.streams.sent import Sent


def stream_events(
    hub: Hub, request: StreamEventsRequest, context: grpc.ServicerContext
) -> Iterator[StreamEventsResponse]:
    """Raises NotFound, CursorInvalid, CursorExpired, FilterRefused before the first message."""
    for sent in follow_thread(hub, request, request.after, context):
        if sent is not None:
            yield sent.response


def watch_exceptions(
    hub: Hub, request: WatchExceptionsRequest, context: grpc.ServicerContext
) -> Iterator[WatchExceptionsResponse]:
    """Raises the same."""
    for sent in follow_exceptions(hub, request, request.after, context):
        if sent is not None:
            yield sent.response


def follow_thread(
    hub: Hub, request: StreamEventsRequest, after: str, context: grpc.ServicerContext
) -> Iterator[Sent | None]:
    """What follows the cursor `after` in the thread, as it may be sent in any form.

    First of all, once everything is checked, comes None.
    """
    thread = parse_thread(request.parent)
    log = EventLog(thread_workspace(hub.store, thread), thread)
    return _follow(hub, log, _matches(request.filter, EVENT_FILTERS), after, context)


def follow_exceptions(
    hub: Hub, request: WatchExceptionsRequest, after: str, context: grpc.ServicerContext
) -> Iterator[Sent | None]:
    """The changes of the workspace's exceptions, likewise."""
    workspace = WorkspaceName.parse(request.parent)
    log = ChangeLog(hub.store.workspace_key(workspace), workspace)
    return _follow(hub, log, _matches(request.filter, EXCEPTION_FILTERS), after, context)


def _matches(text: str, schema: Schema) -> Matches:
    with refused("filter"):
        matches = compile_predicate(text, schema)
    return matches if matches.fields else None


def _follow(
    hub: Hub, log: Log[Any], matches: Matches, after: str, context: grpc.ServicerContext
) -> Iterator[Sent | None]:
    with hub.reader(log, matches, context.cancel) as reader:
        reader.obey(current_call().grant)
        if not (context.add_callback(reader.end) and reader.begin(after)):
            return
        # The caller is to know at once that it is connected, even if nothing ever comes.
        context.send_initial_metadata(())
        yield None
        try:
            yield from reader
        except Exception as error:  # noqa: BLE001 - whatever it is, the caller is told
            told = error if isinstance(error, KintsugiError) else _unexpected()
            yield reader.log.failure(reader.position, status_of(told))
            raise told from None


def _unexpected() -> KintsugiError:
    return internal_error(current_call().method)
