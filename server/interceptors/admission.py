"""How many calls a server holds at once: unary ones and streams, each in threads of their own.

A count in the executor sees calls that wait for a thread; a check in the handler would not.
"""

import threading
from collections import Counter, deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from queue import SimpleQueue
from typing import ParamSpec

import structlog

from server.domain.call import Call
from server.domain.errors import TooManyStreams

P = ParamSpec("P")

_log = structlog.get_logger()


class Turn:
    """A call's turn in a pool: all that a server asks of it is to be told when it is over.

    A Future of the standard library, which can also be waited for, would cost several times as
    much.
    """

    __slots__ = ("_is_over", "_told", "_work")

    def __init__(self, work: Callable[[], object]) -> None:
        self._work = work
        self._told: deque[Callable[[Turn], object]] = deque()
        self._is_over = False

    def add_done_callback(self, callback: Callable[["Turn"], object]) -> None:
        """Has it called when the turn is over, at once if it is."""
        self._told.append(callback)
        if self._is_over:
            self._tell()

    def take(self) -> None:
        """Does the work; whoever has it done has seen to its errors."""
        _safely(self._work)

    def end(self) -> None:
        self._is_over = True
        self._tell()

    def _tell(self) -> None:
        # Two threads may be here at once; each callback is taken by one of them.
        while True:
            try:
                callback = self._told.popleft()
            except IndexError:
                return
            _safely(partial(callback, self))


def _safely(work: Callable[[], object]) -> None:
    try:
        work()
    except BaseException:  # noqa: BLE001 - the thread has others to serve
        _log.exception("a call broke off")


class CallPool(ThreadPoolExecutor):
    """Threads for one kind of call, and how many such calls are there, waiting ones included.

    Its threads are its own; it is an executor because a server takes nothing else.
    """

    def __init__(self, calls: str, threads: int, limit: int) -> None:
        super().__init__(max_workers=threads)
        self.calls = calls
        self.threads = threads
        self.limit = limit
        self.count = 0
        self._is_over = False
        self._started: list[threading.Thread] = []
        self._turns: SimpleQueue[Turn | None] = SimpleQueue()
        self._lock = threading.Lock()

    @property
    def is_full(self) -> bool:
        return self.count >= self.limit

    @property
    def queued(self) -> int:
        """How many wait for a thread."""
        return max(0, self.count - self.threads)

    def submit(  # type: ignore[override]  # of a Future, only what a server asks of it
        self, fn: Callable[P, object], /, *args: P.args, **kwargs: P.kwargs
    ) -> Turn:
        turn = Turn(partial(fn, *args, **kwargs))
        with self._lock:
            if self._is_over:
                raise RuntimeError(f"the threads for {self.calls} have ended")
            if len(self._started) < min(self.count + 1, self.threads):
                self._start()
            self.count += 1
            self._turns.put(turn)
        return turn

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:  # noqa: ARG002, FBT001, FBT002 - an executor's
        """Ends the threads once they have done what there is to do."""
        with self._lock:
            self._is_over = True
            started = tuple(self._started)
        for _ in started:
            self._turns.put(None)
        for thread in started if wait else ():
            thread.join()

    def _start(self) -> None:
        name = self.calls.replace(" ", "-")
        thread = threading.Thread(target=self._serve, name=name, daemon=True)
        thread.start()
        self._started.append(thread)

    def _serve(self) -> None:
        while (turn := self._turns.get()) is not None:
            turn.take()
            with self._lock:
                self.count -= 1
            turn.end()
            del turn  # and what it holds, before the next one comes


class AtOnce(ThreadPoolExecutor):
    """No threads: what is submitted is done by whoever submits it, before that returns."""

    def submit(  # type: ignore[override]  # as above
        self, fn: Callable[P, object], /, *args: P.args, **kwargs: P.kwargs
    ) -> Turn:
        turn = Turn(partial(fn, *args, **kwargs))
        turn.take()
        turn.end()
        return turn


class StreamLimit:
    """How many streams each principal has in this process, and how many it may have."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._lock = threading.Lock()
        self._open: Counter[str] = Counter()

    @contextmanager
    def counted(self, call: Call) -> Iterator[None]:
        """Counts a stream while its handler runs. Raises TooManyStreams."""
        account = call.account
        with self._lock:
            if self._open[account] >= self._most:
                raise TooManyStreams(call.principal, self._most)
            self._open[account] += 1
        try:
            yield
        finally:
            with self._lock:
                self._open -= Counter([account])
