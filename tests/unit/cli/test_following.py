"""A stream is followed through everything that can happen to it: no message twice, none lost.

The server is a real one that misbehaves as each test tells it to.
"""

import itertools
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import pytest
from google.protobuf import any_pb2
from google.rpc import code_pb2, error_details_pb2, status_pb2
from grpc_status import rpc_status
from kintsugi.v1 import event_pb2 as pb
from kintsugi.v1 import event_service_pb2 as service
from kintsugi.v1 import event_service_pb2_grpc as rpc

from cli import following
from cli.connection import Connection
from cli.errors import ServiceError
from cli.settings import Server
from cli.threads import Threads

THREAD = "organizations/local/workspaces/default/automations/a/runs/1/agents/kai"
LOG = [str(number) for number in range(1, 21)]

Response = service.StreamEventsResponse
Step = Callable[[grpc.ServicerContext], Iterator[Response] | None]


class Service(rpc.EventServiceServicer):
    """Streams LOG from the cursor on, which is the last event's number. Each call follows the next
    of `steps`, with how many events it sends first; without one it goes on to the end and waits.
    """

    def __init__(self) -> None:
        self.steps: list[tuple[int, Step]] = []
        self.asked: list[service.StreamEventsRequest] = []
        self.left = threading.Event()

    def StreamEvents(  # noqa: N802 (the name is gRPC's)
        self, request: service.StreamEventsRequest, context: grpc.ServicerContext
    ) -> Iterator[Response]:
        self.asked.append(request)
        context.add_callback(self.left.set)
        count, step = self.steps.pop(0) if self.steps else (len(LOG), hang)
        for number in LOG[int(request.after or 0) :][:count]:
            yield Response(event=pb.Event(name=f"{THREAD}/events/{number}"), cursor=number)
        yield from step(context) or ()


def status(
    code: "code_pb2.Code.ValueType", message: str = "told so", reason: str = ""
) -> status_pb2.Status:
    info = any_pb2.Any()
    info.Pack(error_details_pb2.ErrorInfo(domain="kintsugi", reason=reason))
    return status_pb2.Status(code=code, message=message, details=[info])


def hang(context: grpc.ServicerContext) -> None:
    over = threading.Event()
    if context.add_callback(over.set):
        over.wait(30)


def end(_context: grpc.ServicerContext) -> None:
    """A clean end without an error."""


def record(code: "code_pb2.Code.ValueType", reason: str) -> Step:
    return lambda _context: iter([Response(error=status(code, reason=reason))])


def abort(code: "code_pb2.Code.ValueType", reason: str = "") -> Step:
    return lambda context: context.abort_with_status(rpc_status.to_status(status(code, "", reason)))


@pytest.fixture
def fake() -> Service:
    return Service()


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(following, "SHORTEST_PAUSE", 0.01)
    monkeypatch.setattr(following, "LONGEST_PAUSE", 0.05)


class Running:
    """A server on a port that can be stopped and started again there."""

    def __init__(self, fake: Service) -> None:
        self.fake = fake
        self.port = 0
        self.start()

    def start(self) -> None:
        self.server = grpc.server(ThreadPoolExecutor(8))
        rpc.add_EventServiceServicer_to_server(self.fake, self.server)
        self.port = self.server.add_insecure_port(f"127.0.0.1:{self.port}")
        self.server.start()

    def stop(self) -> None:
        self.server.stop(None).wait(10)


@pytest.fixture
def running(fake: Service) -> Iterator[Running]:
    running = Running(fake)
    yield running
    running.stop()


@pytest.fixture
def told() -> list[str]:
    return []


Follow = Callable[..., Iterator[Response | None]]


@pytest.fixture
def follow(running: Running, told: list[str]) -> Follow:
    threads = Threads(Connection(Server(f"127.0.0.1:{running.port}")))
    return lambda **options: threads.follow(THREAD, tell=told.append, **options)


def numbers(stream: Iterator[Response | None], count: int = len(LOG)) -> list[str]:
    """Those of the next events."""
    events = (message.event for message in stream if message and message.HasField("event"))
    return [event.name.rpartition("/")[2] for event in itertools.islice(events, count)]


BREAKS: list[Any] = [
    pytest.param(end, id="a clean end"),
    pytest.param(record(code_pb2.UNAVAILABLE, "SERVER_STOPPING"), id="SERVER_STOPPING"),
    pytest.param(record(code_pb2.UNAVAILABLE, "DATABASE_UNAVAILABLE"), id="DATABASE_UNAVAILABLE"),
    pytest.param(record(code_pb2.RESOURCE_EXHAUSTED, "READER_TOO_SLOW"), id="READER_TOO_SLOW"),
    pytest.param(abort(code_pb2.UNAVAILABLE), id="UNAVAILABLE"),
    pytest.param(abort(code_pb2.CANCELLED), id="CANCELLED"),
    pytest.param(abort(code_pb2.INTERNAL), id="INTERNAL"),
]


@pytest.mark.parametrize("broken", BREAKS)
def test_every_message_comes_once_however_the_stream_breaks(
    fake: Service, follow: Follow, told: list[str], broken: Step
) -> None:
    fake.steps = [(7, broken), (0, broken), (0, broken), (6, broken)]
    assert numbers(follow()) == LOG
    assert [request.after for request in fake.asked] == ["", "7", "7", "7", "13"]
    assert [text.endswith("still following") for text in told] == [True, False] * 2
    assert told[1::2] == ["the service is back"] * 2


@pytest.mark.parametrize("size", [1, 2, 3, 7])
def test_a_stream_that_breaks_at_every_few_messages_brings_the_whole_log(
    fake: Service, follow: Follow, size: int
) -> None:
    fake.steps = [(size, end)] * (len(LOG) // size)
    assert numbers(follow()) == LOG


def test_a_loss_is_known_to_whoever_follows(fake: Service, follow: Follow) -> None:
    fake.steps = [(20, end)]
    stream = follow()
    assert numbers(stream) == LOG
    assert next(stream) is None


def test_the_cursor_of_an_error_counts(fake: Service, follow: Follow) -> None:
    def skip(_context: grpc.ServicerContext) -> Iterator[Response]:
        yield Response(error=status(code_pb2.UNAVAILABLE), cursor="19")

    fake.steps = [(3, skip)]
    assert numbers(follow(), 4) == ["1", "2", "3", "20"]


def test_a_fault_of_the_service_is_told_in_its_words(
    fake: Service, follow: Follow, told: list[str]
) -> None:
    fake.steps = [(1, record(code_pb2.INTERNAL, "INTERNAL_ERROR"))]
    numbers(follow())
    assert told == ["told so; still following", "the service is back"]


def test_an_expired_cursor_is_told_with_what_to_do(fake: Service, follow: Follow) -> None:
    fake.steps = [(2, abort(code_pb2.FAILED_PRECONDITION, "CURSOR_EXPIRED"))]
    with pytest.raises(ServiceError, match="start again; `kintsugi exceptions list`"):
        numbers(follow())


@pytest.mark.parametrize(
    "code",
    [
        code_pb2.NOT_FOUND,
        code_pb2.INVALID_ARGUMENT,
        code_pb2.PERMISSION_DENIED,
        code_pb2.FAILED_PRECONDITION,
        code_pb2.UNIMPLEMENTED,
    ],
)
@pytest.mark.parametrize("how", [abort, record])
def test_what_cannot_be_gone_on_from_is_raised(
    fake: Service, follow: Follow, told: list[str], how: Any, code: Any
) -> None:
    fake.steps = [(2, how(code, "CURSOR_EXPIRED"))]
    stream = follow()
    assert numbers(stream, 2) == LOG[:2]
    with pytest.raises(ServiceError) as raised:
        next(stream)
    assert raised.value.reason == "CURSOR_EXPIRED"
    assert told == []


def test_a_restarted_server_is_found_again(
    running: Running, fake: Service, follow: Follow, told: list[str]
) -> None:
    fake.steps = [(5, hang)]
    stream = follow()
    assert numbers(stream, 5) == LOG[:5]
    running.stop()
    assert next(stream) is None
    assert next(stream) is None
    running.start()
    assert numbers(stream, 15) == LOG[5:]
    assert told == [
        "the service can't be reached at the moment; still following",
        "the service is back",
    ]


def test_a_silent_stream_counts_as_lost(
    monkeypatch: pytest.MonkeyPatch, fake: Service, follow: Follow
) -> None:
    monkeypatch.setattr(following, "SILENCE", 0.5)
    fake.steps = [(5, hang)]
    assert numbers(follow()) == LOG
    assert len(fake.asked) == 2


def test_time_in_which_nobody_reads_is_no_silence(
    monkeypatch: pytest.MonkeyPatch, fake: Service, follow: Follow
) -> None:
    monkeypatch.setattr(following, "SILENCE", 0.5)
    stream = follow()
    assert numbers(stream, 3) == LOG[:3]
    time.sleep(1.5)
    assert numbers(stream, 17) == LOG[3:]
    assert len(fake.asked) == 1


def test_the_end_of_the_time_ends_a_quiet_stream(fake: Service, follow: Follow) -> None:
    fake.steps = [(5, hang)]
    assert numbers(follow(until=time.monotonic() + 1)) == LOG[:5]


def test_the_end_of_the_time_ends_the_search_for_a_service_that_is_away(
    running: Running, follow: Follow
) -> None:
    running.stop()
    assert numbers(follow(until=time.monotonic() + 1)) == []


def test_nobody_there_from_the_beginning_is_an_error_soon() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    connection = Connection(Server(f"127.0.0.1:{port}"))
    stub = rpc.EventServiceStub(connection.channel)
    with pytest.raises(ServiceError, match="kintsugi up"):
        numbers(connection.follow(stub.StreamEvents, service.StreamEventsRequest()))


def test_pauses_grow_up_to_a_bound_and_begin_anew_after_progress(
    monkeypatch: pytest.MonkeyPatch, fake: Service, follow: Follow
) -> None:
    paused: list[float] = []
    monkeypatch.undo()
    monkeypatch.setattr(following.time, "sleep", paused.append)
    fake.steps = [(1, end), *[(0, end)] * 8, (1, end)]
    numbers(follow())
    longest = [0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0, 5.0, 5.0, 0.2]
    assert all(most / 2 <= pause <= most for pause, most in zip(paused, longest, strict=True)), (
        paused
    )


def test_a_stream_that_is_left_is_hung_up(fake: Service, follow: Follow) -> None:
    stream = follow()
    assert numbers(stream, 2) == LOG[:2]
    stream.close()  # type: ignore[attr-defined]
    assert fake.left.wait(30)
