"""Waits in the terminal for what becomes of an exception, and shows what is said about it.

What follows from it is decided in `exec`.
"""

import time
from collections.abc import Callable
from contextlib import closing
from typing import TYPE_CHECKING, cast

from kintsugi.v1 import event_pb2
from kintsugi.v1 import exception_pb2 as pb

from cli import names
from cli.client import Client
from cli.conversation import text, who
from cli.errors import ServiceError
from cli.terminal import say
from cli.threads import Threads

if TYPE_CHECKING:
    from collections.abc import Generator

    from kintsugi.v1 import event_service_pb2 as service

OWN_WORDS = ("system_message", "tool_call_result")
"""How an exception's thread begins: that it was raised, and the output that came along."""


def follow(
    client: Client,
    threads: Threads,
    exception: pb.Exception,
    wait: float | None,
    look: Callable[[], bool],
) -> pb.Exception | None:
    """The exception once it is no longer PENDING, or None after `wait` seconds (None: no end).

    `look` does what is to be done meanwhile, and answers whether there was something. A service
    that is away is waited for; any other error is raised as ServiceError.
    """
    until = None if wait is None else time.monotonic() + wait
    waiting = _Waiting(client, threads, exception, look)
    while True:
        try:
            return waiting.run(until)
        except ServiceError as error:
            if error.reason != "CURSOR_EXPIRED":
                raise


class _Waiting:
    """Looks at the exception whenever something may have happened to it.

    That is when the service says something about it, and also when a stream begins, breaks, or was
    quiet for a while: what is said is only shown, and never taken for what is.
    """

    def __init__(
        self,
        client: Client,
        threads: Threads,
        exception: pb.Exception,
        look: Callable[[], bool],
    ) -> None:
        self._look = look
        self._client = client
        self._threads = threads
        self._exception = exception
        self._shown: set[str] = set()

    def run(self, until: float | None) -> pb.Exception | None:
        thread = names.thread(self._exception.run)
        matching = f'exception = "{self._exception.name.rpartition("/")[2]}"'
        own_words = list(OWN_WORDS)
        stream = self._threads.follow(thread, matching, until=until)
        with closing(cast("Generator[service.StreamEventsResponse | None]", stream)):
            for message in stream:
                event = message.event if message else event_pb2.Event()
                kind = event.WhichOneof("event_data")
                if kind in (None, "system_message") and self._over():
                    return self._exception
                if kind and own_words[:1] == [kind]:
                    del own_words[0]
                    self._shown.add(event.name)
                elif kind:
                    own_words.clear()
                    self._show(event)
        return None

    def _over(self) -> bool:
        """Whether it is settled, when all that was asked for meanwhile is done."""
        while not self._settled():
            if not self._look():
                return False
        return True

    def _settled(self) -> bool:
        """Whether it is no longer pending, as far as can be known at the moment."""
        try:
            seen = self._client.get(self._exception.name)
        except ServiceError as error:
            if not error.transient:
                raise
            return False
        if seen.description != self._exception.description:
            say(seen.description)
        self._exception = seen
        return seen.state != pb.EXCEPTION_STATE_PENDING

    def _show(self, event: event_pb2.Event) -> None:
        if event.state != event_pb2.Event.STATE_STREAMING and event.name not in self._shown:
            self._shown.add(event.name)
            say(f"{who(event)}: {text(event)}")
