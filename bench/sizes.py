"""First pages with their totals, and both counts, as the table grows from 10,000 rows.

Whole gRPC calls, one at a time, each size in a database and a server process of its own.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial
from statistics import median

import grpc
import psycopg
from google.protobuf.message import Message
from kintsugi.v1 import exception_service_pb2 as service
from kintsugi.v1.exception_service_pb2_grpc import ExceptionServiceStub
from psycopg import sql

from bench.measure import ROUNDS, SOAK, Row, row_of_growth, row_of_time
from bench.rows import fill
from bench.stage import WORKSPACE, database, serving, temporary_directory
from server.owner import owner_token

SMALL = 10_000
LARGE = {"1M": 1_000_000, **({"10M": 10_000_000} if SOAK else {})}
GROWTH = 1.5
COUNTED_MS = 300.0

_SECONDS = 0.4
"""How long the calls of a size are repeated in a round."""

_SINCE = 'create_time > "2025-01-01T00:00:00Z"'
PUBLISHED = (
    "state = PENDING",
    "state != RESOLVED",
    "automation = my-automation-id",
    "state = PENDING AND automation = my-automation-id",
    "state = PENDING OR state = ARCHIVED",
    "NOT state = RESOLVED",
    _SINCE,
    'create_time >= "2025-01-01T00:00:00Z" AND create_time < "2025-02-01T00:00:00Z"',
    f"(state = PENDING OR state = ARCHIVED) AND {_SINCE}",
    'group = "missing_values"',
    'group = "missing_values" OR group = "user_system_error"',
    'group = ""',
    'state = PENDING AND group = ""',
    'group != ""',
    "run = run1_id OR run = run2_id",
    "run = run1_id",
)
"""The examples of the published document."""

COUNTED = ("", "state = PENDING", 'group = "missing_values"')
"""The examples of both counts; that by groups hasn't the third."""

_CAPPED = f"automation = my-automation-id AND {_SINCE}"
"""Its rows are counted, up to the cap."""

OURS = (
    'create_time > "2025-03-04T05:06:07Z"',
    "group = rare_group",
    "state = PENDING AND automation = automation-0",
    _CAPPED,
    "message:zeppelin",
    "message:timeout",
)
"""What is asked as well; 60 rows of any size say zeppelin, a tenth of them timeout."""

Metadata = tuple[tuple[str, str], ...]
Server = tuple[ExceptionServiceStub, Metadata]
"""A stub, and what its calls carry."""

Call = Callable[[ExceptionServiceStub, Metadata], Message]
Servers = Mapping[int, Server]


def run() -> list[Row]:
    with _servers() as servers:
        return [
            made
            for label, call, goal in _calls()
            for made in _rows(label.strip(), call, goal, servers)
        ]


def _calls() -> Iterator[tuple[str, Call, float | None]]:
    """What is called, and how much it may grow."""
    for text in ("", *PUBLISHED, *OURS):
        yield f"list {text}", _listing(text), None if text in OURS else GROWTH
    for text in COUNTED[:2]:
        yield f"countByGroup {text}", _by_group(text), GROWTH
    for text in COUNTED:
        yield f"countByAutomation {text}", _by_automation(text), GROWTH


def _listing(text: str) -> Call:
    request = service.ListExceptionsRequest(parent=WORKSPACE, filter=text)
    return lambda stub, sent: stub.ListExceptions(request, timeout=60, metadata=sent)


def _by_group(text: str) -> Call:
    request = service.CountExceptionsByGroupRequest(parent=WORKSPACE, filter=text)
    return lambda stub, sent: stub.CountExceptionsByGroup(request, timeout=60, metadata=sent)


def _by_automation(text: str) -> Call:
    request = service.CountExceptionsByAutomationRequest(parent=WORKSPACE, filter=text)
    return lambda stub, sent: stub.CountExceptionsByAutomation(request, timeout=60, metadata=sent)


def _rows(label: str, call: Call, goal: float | None, servers: Servers) -> Iterator[Row]:
    calls = {size: partial(call, *server) for size, server in servers.items()}
    rounds = [_p50s(calls) for _ in range(ROUNDS)]
    figures = {size: [each[size] for each in rounds] for size in calls}
    for name, size in LARGE.items():
        yield row_of_growth(f"{name}: {label}", "ms", figures[size], figures[SMALL], goal)
        if label in (f"list {_SINCE}", f"list {_CAPPED}"):
            yield row_of_time(f"{name}: {label}, counted", "ms", figures[size], COUNTED_MS)


def _p50s(calls: Mapping[int, Callable[[], object]]) -> dict[int, float]:
    """The medians of how many milliseconds the calls take, by turns: what disturbs disturbs all."""
    taken: dict[int, list[float]] = {size: [] for size in calls}
    begun = time.perf_counter()
    while time.perf_counter() - begun < _SECONDS * len(calls):
        for size, call in calls.items():
            start = time.perf_counter()
            call()
            taken[size].append((time.perf_counter() - start) * 1000)
    return {size: median(each) for size, each in taken.items()}


@contextmanager
def _servers() -> Iterator[Servers]:
    """A server process for each size."""
    with ExitStack() as stack:
        directory = stack.enter_context(temporary_directory())
        postgres = stack.enter_context(database(directory))
        servers = {}
        for size in (SMALL, *LARGE.values()):
            url = _made(postgres.url("postgres"), postgres.url(f"rows_{size}"), f"rows_{size}")
            fill(url, size)
            own = directory / f"{size}"
            own.mkdir()
            address, *_ = stack.enter_context(serving(own, url, set()))
            stub = ExceptionServiceStub(stack.enter_context(grpc.insecure_channel(address)))
            token = owner_token(url, "local", WORKSPACE)
            servers[size] = (stub, (("authorization", f"Bearer {token}"),))
        yield servers


def _made(maintenance: str, url: str, name: str) -> str:
    with psycopg.connect(maintenance, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    return url
