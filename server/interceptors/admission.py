"""How many calls a server holds at once: unary ones and streams, each in threads of their own.

A count in the executor sees calls that wait for a thread; a check in the handler would not.
"""

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, ParamSpec, TypeVar

from server.domain.call import Call
from server.domain.errors import TooManyStreams

P = ParamSpec("P")
T = TypeVar("T")


class CallPool(ThreadPoolExecutor):
    """Threads for one kind of call, and how many such calls are there, waiting ones included."""

    def __init__(self, calls: str, threads: int, limit: int) -> None:
        super().__init__(max_workers=threads, thread_name_prefix=calls.replace(" ", "-"))
        self.calls = calls
        self.threads = threads
        self.limit = limit
        self.count = 0
        self._lock = threading.Lock()

    @property
    def is_full(self) -> bool:
        return self.count >= self.limit

    @property
    def queued(self) -> int:
        """How many wait for a thread."""
        return max(0, self.count - self.threads)

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        with self._lock:
            self.count += 1
        try:
            future = super().submit(fn, *args, **kwargs)
        except BaseException:
            self._leave(None)
            raise
        # Also called for a call that was cancelled before its turn and never reaches a handler.
        future.add_done_callback(self._leave)
        return future

    def _leave(self, _: Future[Any] | None) -> None:
        with self._lock:
            self.count -= 1


class AtOnce(ThreadPoolExecutor):
    """No threads: what is submitted is done by whoever submits it, before that returns."""

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        future: Future[T] = Future()
        future.set_result(fn(*args, **kwargs))
        return future


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
