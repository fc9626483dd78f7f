"""Following a stream of the service for as long as somebody listens, whatever becomes of it.

Which stream it is, and what its messages mean, is not known here.
"""

import random
import threading
import time
from collections.abc import Callable, Generator, Iterator
from types import TracebackType
from typing import Any, Generic, Protocol, Self, TypeVar, cast

import grpc

from cli.errors import ServiceError
from cli.terminal import say

SILENCE = 45.0
"""Seconds without a message after which a stream counts as lost; the service sends one at least
every 15 s, be it a cursor alone."""

SHORTEST_PAUSE, LONGEST_PAUSE = 0.2, 5.0
TRIES = 4
"""How often a service is looked for that wasn't reached yet."""

Tell = Callable[[str], None]

_CHANCE = random.SystemRandom()


class _Message(Protocol):
    """What every streamed message has beside its content."""

    @property
    def cursor(self) -> str: ...
    @property
    def error(self) -> Any: ...
    def HasField(self, name: Any, /) -> bool: ...  # noqa: N802 (the name is protobuf's)


Streamed = TypeVar("Streamed", bound=_Message)


class Following(Generic[Streamed]):
    """A stream as one sequence of messages, taken up again after the last one wherever it breaks.

    Iterating gives every message once, those with a cursor alone too, and None each time the
    stream was lost, so that a caller can look around. A loss is told, once until the service is
    back. It ends at `until` (time.monotonic), and raises ServiceError for what can't be gone on
    from; so it does, after some tries, where the service was never reached: `reached` says that
    it was, by other calls.
    """

    def __init__(
        self,
        open_stream: Callable[[str], Iterator[Streamed]],
        server: str,
        *,
        reached: bool = False,
        until: float | None = None,
        tell: Tell = say,
    ) -> None:
        self._open = open_stream
        self._server = server
        self._reached = reached
        self._until = float("inf") if until is None else until
        self._cursor = ""
        self._failures = 0
        self._away = False
        self._tell = tell

    def __iter__(self) -> Iterator[Streamed | None]:
        while not self._over():
            error = yield from self._messages()
            if self._over():
                return
            self._lose(error)
            yield None
            time.sleep(max(0.0, min(self._pause(), self._until - time.monotonic())))

    def _over(self) -> bool:
        return time.monotonic() >= self._until

    def _messages(self) -> Generator[Streamed, None, ServiceError | None]:
        """What one connection brings, and in the end why it broke."""
        stream = self._open(self._cursor)
        with _Patience(cast("grpc.Call", stream), self._until) as patience:
            try:
                while (message := patience.wait_for(stream)) is not None:
                    if message.HasField("error"):
                        self._cursor = message.cursor or self._cursor
                        return ServiceError.of_status(message.error)
                    self._take(message)
                    yield message
            except grpc.RpcError as error:
                return ServiceError.of_call(error, self._server)
        return None

    def _take(self, message: Streamed) -> None:
        if self._away:
            self._tell("the service is back")
        self._away, self._reached = False, True
        if message.cursor != self._cursor:  # else this one brought us nowhere
            self._failures, self._cursor = 0, message.cursor or self._cursor

    def _lose(self, error: ServiceError | None) -> None:
        self._failures += 1
        given_up = not self._reached and self._failures >= TRIES
        if error is not None and (given_up or not error.transient):
            raise error
        if self._reached and not self._away:
            self._away = True
            said = error.said if error and not error.found_nobody else ""
            why = said or "the service can't be reached at the moment"
            self._tell(f"{why}; still following")

    def _pause(self) -> float:
        """Seconds, longer from loss to loss, and never the same for all that lost it at once."""
        longest = min(SHORTEST_PAUSE * 2.0 ** (self._failures - 1), LONGEST_PAUSE)
        return _CHANCE.uniform(longest / 2, longest)


class _Patience:
    """Cancels a call that is waited for too long: past the end, or SILENCE seconds for a message.

    The time in which nobody waits, since the last message is still being read, doesn't count.
    """

    def __init__(self, call: grpc.Call, until: float) -> None:
        self._call = call
        self._until = until
        self._since: float | None = None
        self._done = threading.Event()

    def wait_for(self, stream: Iterator[Streamed]) -> Streamed | None:
        """The next message, or None at the end of the stream."""
        self._since = time.monotonic()
        try:
            return next(stream, None)
        finally:
            self._since = None

    def __enter__(self) -> Self:
        threading.Thread(target=self._watch, daemon=True).start()
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        self._done.set()
        self._call.cancel()

    def _watch(self) -> None:
        while (left := self._left()) > 0:
            if self._done.wait(min(left, 1.0)):
                return
        self._call.cancel()

    def _left(self) -> float:
        now, since = time.monotonic(), self._since
        silent = 0.0 if since is None else now - since
        return min(self._until - now, SILENCE - silent)
