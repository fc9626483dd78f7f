"""Streams under bad conditions: readers that stop reading, callers that vanish, no database."""

import os
import threading
from collections.abc import Iterator
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Any

import grpc
import psycopg
import pytest
from kintsugi.v1 import event_service_pb2 as service
from kintsugi.v1.event_service_pb2_grpc import EventServiceStub

from server.app import Server
from server.config import Settings
from server.launch.postgres import Postgres
from server.store.migrate import migrate
from tests.identity import authorized, make_owner
from tests.integration.client import Client, reason
from tests.integration.following import new_thread, reading, stream
from tests.integration.test_server import start_process
from tests.integration.waiting import until

LONG = bool(os.environ.get("KINTSUGI_SOAK"))
LARGE = "x" * 60_000


class Served:
    """A server in this process, and its port."""

    def __init__(self, database: str, **settings: Any) -> None:
        values = {"grace_seconds": 1, "max_streams_per_principal": 2000} | settings
        self.server = Server(Settings(database_url=database, grpc_port=0, **values))
        self.port = self.server.start()
        self.client = Client(self.port)

    @property
    def followers(self) -> int:
        return sum(len(log.followers) for log in self.server._hub._followed())

    def open(self, thread: str) -> Any:
        """A stream on a connection of its own that takes no more than 64 KiB ahead."""
        options = [("grpc.use_local_subchannel_pool", 1), ("grpc.http2.bdp_probe", 0)]
        channel = authorized(grpc.insecure_channel(f"127.0.0.1:{self.port}", options))
        request = service.StreamEventsRequest(parent=thread)
        call = EventServiceStub(channel).StreamEvents(request)
        call.channel = channel
        return call

    def close(self) -> None:
        self.client.channel.close()
        self.server.stop()


@pytest.fixture
def hasty(database: str) -> Iterator[Served]:
    """It has half a second of patience with readers."""
    served = Served(database, slow_reader_seconds=0.5)
    yield served
    served.close()


def test_a_reader_that_stops_is_cut_off_and_holds_up_nobody(hasty: Served) -> None:
    thread = new_thread()
    stopped = [hasty.open(thread) for _ in range(20)]
    for call in stopped:
        call.initial_metadata()
    with reading(stream(hasty.client, thread)) as other:
        for _ in range(40):
            hasty.client.say(thread, LARGE)
        other.wait(lambda messages: len(messages) == 40)
        until(lambda: hasty.followers == 1)
    codes = {error_of(call).code() for call in stopped}
    assert codes == {grpc.StatusCode.CANCELLED}


def test_a_reader_that_comes_to_late_is_told_so_with_a_cursor(hasty: Served) -> None:
    thread = new_thread()
    for _ in range(40):
        hasty.client.say(thread, LARGE)
    call = hasty.open(thread)
    call.initial_metadata()
    threading.Event().wait(0.8)
    messages, error = [], None
    try:
        messages += call
    except grpc.RpcError as raised:
        error = raised
    assert error is not None
    assert reason(error) == "READER_TOO_SLOW"
    assert messages[-1].error.code == grpc.StatusCode.RESOURCE_EXHAUSTED.value[0]
    got = [message.event.name for message in messages[:-1]]
    again = stream(hasty.client, thread, after=messages[-1].cursor)
    got += [message.event.name for message in islice(again, 40 - len(got))]
    assert [name.rpartition("/")[2] for name in got] == [str(n) for n in range(1, 41)]


def error_of(call: Any) -> grpc.RpcError:
    with pytest.raises(grpc.RpcError) as error:
        list(call)
    return error.value


def open_and_cancel(client: Client, thread: str, count: int) -> None:
    """Some are cancelled before they begin, some in their midst."""
    for number in range(count // 50):
        calls = [stream(client, thread) for _ in range(50)]
        for call in calls[: number % 50]:
            with suppress(grpc.RpcError):
                next(call)
        for call in calls:
            call.cancel()


def test_streams_that_were_cancelled_are_counted_no_more(database: str) -> None:
    served = Served(database, max_streams_per_principal=60, max_streams=60)
    thread = new_thread()
    served.client.say(thread)
    open_and_cancel(served.client, thread, 2000)
    until(lambda: served.followers == 0)
    assert served.server._hub._logs == {}
    assert served.server._hub._by_topic == {}
    calls = [stream(served.client, thread) for _ in range(60)]
    assert len([next(call) for call in calls]) == 60
    with pytest.raises(grpc.RpcError) as error:
        next(stream(served.client, thread))
    assert error.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    served.close()


def test_streams_that_come_and_go_leave_nothing_behind(database: str, tmp_path: Path) -> None:
    process, address = start_process(database, tmp_path)
    client = Client(int(address.rpartition(":")[2]))
    thread = new_thread()
    client.say(thread)
    open_and_cancel(client, thread, 2_000)
    before = resident_mib(process.pid)
    open_and_cancel(client, thread, 100_000 if LONG else 4_000)
    assert resident_mib(process.pid) - before < 20
    client.channel.close()
    process.terminate()
    assert process.wait(30) == 0


def resident_mib(pid: int) -> float:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def test_all_streams_that_come_back_at_once_are_let_in(database: str) -> None:
    served = Served(database)
    thread = new_thread()
    served.client.say(thread)
    calls = [stream(served.client, thread) for _ in range(2000)]
    assert {next(call).event.name for call in calls} == {f"{thread}/events/1"}
    for call in calls:
        call.cancel()
    served.close()


@pytest.fixture
def own_postgres(tmp_path: Path) -> Iterator[Postgres]:
    """One that a test may stop: other tests don't stand on it."""
    server = Postgres(tmp_path, tmp_path / "postgres.log", durable=False)
    server.start()
    migrate(server.url())
    make_owner(server.url())
    yield server
    server.stop()


def _is_back(served: Served) -> bool:
    try:
        served.client.list()
    except grpc.RpcError:
        return False
    return True


def test_streams_outlive_the_database(own_postgres: Postgres) -> None:
    served = Served(own_postgres.url(), checkpoint_seconds=0.5)
    thread = new_thread()
    said = [served.client.say(thread)]
    with reading(stream(served.client, thread)) as reader:
        reader.wait(lambda messages: messages)
        own_postgres.stop()
        count = len(reader.cursors)
        reader.wait(lambda _: len(reader.cursors) > count + 2)
        until(lambda: not served.server._hub.is_fresh)
        with pytest.raises(grpc.RpcError) as error:
            next(stream(served.client, thread, after=reader.cursors[-1]))
        assert reason(error.value) == "DATABASE_UNAVAILABLE"
        own_postgres.start()
        with psycopg.connect(own_postgres.url()) as connection:
            connection.execute("SELECT 1")
        until(lambda: _is_back(served))
        said.append(served.client.say(thread))
        reader.wait(lambda messages: len(messages) == 2)
        assert served.server._hub.is_fresh
    assert [message.event for message in reader.messages] == said
    served.close()


def test_stopping_takes_no_longer_than_the_grace_whatever_readers_do(hasty: Served) -> None:
    thread = new_thread()
    for _ in range(40):
        hasty.client.say(thread, LARGE)
    stopped = [hasty.open(thread) for _ in range(5)]
    for call in stopped:
        call.initial_metadata()
    finished = threading.Event()
    stopping = threading.Thread(target=lambda: (hasty.server.stop(), finished.set()))
    stopping.start()
    assert finished.wait(10)
