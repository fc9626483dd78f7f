"""Streams through Envoy: how long a message takes to its readers.

Messages are appended as a worker does it, by the store in processes of their own, so that writing
takes nothing from the server process that serves the streams.
"""

import time
import uuid
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import cache, partial
from multiprocessing import get_context
from statistics import quantiles

from kintsugi.v1 import event_pb2 as pb

from bench.measure import ROUNDS, SECONDS, Row, row_of_time
from bench.readers import Readers, stamp
from bench.stage import WORKSPACE, Stage
from server.domain.names import WorkspaceName
from server.store.connection import Database
from server.store.events import APPEND, append_parameters
from server.store.notifier import Notifier
from server.store.store import Store
from server.store.topics import thread_topic

WRITERS = 4
RATE = 1000
"""Messages a second, over all threads."""

STREAMS = (1000, 2000)
GOAL_MS = 50.0
_PATIENCE_SECONDS = 30.0


def run(stage: Stage) -> list[Row]:
    with ProcessPoolExecutor(WRITERS, get_context("spawn")) as pool:
        rows = [_delivery(stage, pool, streams) for streams in STREAMS]
        return [*rows, _fan_out(stage, STREAMS[0])]


def _delivery(stage: Stage, pool: ProcessPoolExecutor, streams: int) -> Row:
    """The 99th percentile, each stream following a thread of its own."""
    threads = [_new_thread() for _ in range(streams)]
    write = partial(_write_at_rate, stage.database_url)
    figures: list[float] = []
    with _opened(stage, threads) as readers:
        for _ in range(ROUNDS):
            start = time.monotonic() + 0.3
            given = [(threads[number::WRITERS], start) for number in range(WRITERS)]
            writing = [pool.submit(write, *each) for each in given]
            delays = readers.read(round(RATE * SECONDS), SECONDS + _PATIENCE_SECONDS)
            for each in writing:
                each.result()
            figures.append(quantiles(delays, n=100)[98])
    return row_of_time(f"{RATE} messages/s to {streams} streams, p99", "ms", figures, GOAL_MS)


def _fan_out(stage: Stage, streams: int) -> Row:
    """One message to all readers of one thread: when the last one has it."""
    thread = _new_thread()
    append = _appending(stage.database_url)
    figures: list[float] = []
    with _opened(stage, [thread] * streams) as readers:
        for _ in range(ROUNDS):
            append(thread)
            figures.append(max(readers.read(streams, _PATIENCE_SECONDS)))
    return row_of_time(f"one message to {streams} readers, the last", "ms", figures)


def _opened(stage: Stage, threads: Sequence[str]) -> Readers:
    """Readers that have all got a first message."""
    readers = Readers(stage.edge, stage.token, threads)
    append = _appending(stage.database_url)
    for thread in dict.fromkeys(threads):
        append(thread)
    readers.read(len(threads), 2 * _PATIENCE_SECONDS)
    return readers


def _write_at_rate(url: str, threads: Sequence[str], start: float) -> None:
    """Appends to one thread after the other, this process's share of RATE."""
    append = _appending(url)
    for number in range(round(RATE * SECONDS / WRITERS)):
        time.sleep(max(0, start + number * WRITERS / RATE - time.monotonic()))
        append(threads[number % len(threads)])


class _Appender:
    """Appends a message with the time in it, as the service itself does."""

    def __init__(self, url: str) -> None:
        self._database = Database(url, connections=1)
        self._notifier = Notifier(url)
        store = Store(self._database, self._notifier)
        self._workspace = store.workspace_key(WorkspaceName.parse(WORKSPACE))

    def __call__(self, thread: str) -> None:
        columns = {
            "kind": pb.EVENT_KIND_SYSTEM_MESSAGE,
            "exception": "",
            "text": stamp(),
            "details": b"",
        }
        name = thread.removeprefix(f"{WORKSPACE}/")
        parameters = append_parameters(name, [columns])
        self._database.one(APPEND, {"workspace": self._workspace, **parameters})
        self._notifier.announce(thread_topic(self._workspace, name))


_appending = cache(_Appender)


def _new_thread() -> str:
    return f"{WORKSPACE}/automations/invoices/runs/{uuid.uuid4().hex}/agents/kai"
