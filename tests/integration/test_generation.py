"""Events that are written bit by bit: they grow, become whole, can be stopped, and lose nothing."""

import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import grpc
import psycopg
import pytest
from kintsugi.v1 import event_pb2 as pb
from kintsugi.v1 import event_service_pb2 as service
from kintsugi.v1.event_service_pb2_grpc import EventServiceStub

from server.domain.errors import DatabaseUnavailable
from server.domain.names import AgentSessionName, EventName, RunAgentName, ThreadName
from server.operations.event_writer import Generation, Generations
from server.operations.generation import complete_orphans
from server.resources.collection import Collection
from server.resources.event import EVENT
from server.store.connection import Database
from server.store.notifier import Notifier
from server.store.store import Store
from tests.integration.client import Client, reason
from tests.integration.waiting import until

STREAMING, COMPLETE = pb.Event.STATE_STREAMING, pb.Event.STATE_COMPLETE
ROOT = Path(__file__).parents[2]
MESSAGE = pb.Event(agent_message=pb.AgentMessage())

Rows = Callable[[str], list[tuple[Any, ...]]]


class Process:
    """What a process of an agent has: a store, and the generations in it."""

    def __init__(self, database: str) -> None:
        self.database = Database(database, connections=4)
        self.notifier = Notifier(database)
        self.store = Store(self.database, self.notifier)
        self.generations = Generations(self.store)
        self._events = Collection(self.store, EVENT)

    def get(self, generation: Generation) -> pb.Event:
        return self._events.get(generation.name)

    def list(self, thread: ThreadName) -> list[pb.Event]:
        response = service.ListEventsResponse()
        request = service.ListEventsRequest(parent=str(thread), page_size=1000)
        self._events.list(thread, request, response, response.events)
        return list(response.events)

    def close(self) -> None:
        self.generations.close()
        self.notifier.close()
        self.database.close()


@pytest.fixture
def process(database: str) -> Iterator[Process]:
    process = Process(database)
    yield process
    process.close()


@pytest.fixture
def rows(database: str) -> Iterator[Rows]:
    with psycopg.connect(database, autocommit=True) as connection:
        yield lambda statement: connection.execute(statement).fetchall()  # type: ignore[arg-type]


@pytest.fixture
def events(client: Client) -> EventServiceStub:
    return EventServiceStub(client.channel)


def a_thread() -> RunAgentName:
    return RunAgentName("local", "default", "billing", uuid.uuid4().hex, "kai")


def cancel(events: EventServiceStub, thread: ThreadName, request_id: str = "") -> None:
    events.CancelGeneration(
        service.CancelGenerationRequest(parent=str(thread), request_id=request_id)
    )


def text_of(event: pb.Event) -> str:
    return event.agent_message.content


def has_text(process: Process, generation: Generation, text: str) -> bool:
    return text_of(process.get(generation)) == text


@contextmanager
def writing(generation: Generation) -> Iterator[list[str]]:
    """An agent that appends without a pause until it is cancelled; gives what it appended."""
    words: list[str] = []

    def write() -> None:
        while not generation.cancelled.is_set():
            words.append(f"{len(words)} ")
            generation.append(words[-1])
            time.sleep(0.001)

    thread = threading.Thread(target=write)
    thread.start()
    yield words
    generation.cancelled.set()
    thread.join()


def test_an_event_is_seen_growing_and_then_whole(process: Process, rows: Rows) -> None:
    thread, so_far = a_thread(), "It "
    begun = pb.Event(agent_message=pb.AgentMessage(content=so_far))
    with process.generations.begin(thread, begun) as generation:
        assert text_of(process.get(generation)) == so_far
        for word in ("can ", "be ", "repaired."):
            generation.append(word)
            so_far += word
            until(partial(has_text, process, generation, so_far))
        [listed] = process.list(thread)
        assert (listed.state, text_of(listed)) == (STREAMING, so_far)
    event = process.get(generation)
    assert (event.state, text_of(event)) == (COMPLETE, so_far)
    assert event.create_time.ToNanoseconds() < event.update_time.ToNanoseconds()
    assert rows("SELECT count(*) FROM event_chunks") == [(0,)]


def test_what_was_never_flushed_is_there_when_it_is_whole(process: Process) -> None:
    with process.generations.begin(a_thread(), MESSAGE) as generation:
        generation.append("a" * 100_000 + "\0")
    assert text_of(process.get(generation)) == "a" * 100_000


def test_the_rest_of_the_content_can_come_at_the_end(process: Process) -> None:
    begun = pb.Event(tool_call_request=pb.ToolCallRequest(tool_call_id="c1", input="ls "))
    generation = process.generations.begin(a_thread(), begun)
    generation.append("-l")
    generation.complete(
        pb.Event(tool_call_request=pb.ToolCallRequest(tool_call_id="c1", display_name="Shell"))
    )
    request = process.get(generation).tool_call_request
    assert (request.tool_call_id, request.display_name, request.input) == ("c1", "Shell", "ls -l")


def test_an_agent_that_fails_leaves_what_it_had(process: Process) -> None:
    generation = process.generations.begin(a_thread(), MESSAGE)

    def fail() -> None:
        with generation:
            generation.append("so far")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    until(lambda: process.get(generation).state == COMPLETE)
    assert text_of(process.get(generation)) == "so far"


def test_completing_twice_changes_nothing(process: Process) -> None:
    thread = a_thread()
    generation = process.generations.begin(thread, MESSAGE)
    generation.append("all")
    assert generation.complete()
    once = process.get(generation)
    generation.append(" and more")
    assert generation.complete()
    assert process.get(generation) == once


def test_what_somebody_else_completed_stays_as_it_is(process: Process, rows: Rows) -> None:
    generation = process.generations.begin(a_thread(), MESSAGE)
    assert complete_orphans(process.store, silence_seconds=0) == 1
    until(generation.cancelled.is_set)
    generation.append("too late")
    assert not generation.complete()
    assert text_of(process.get(generation)) == ""


def test_nothing_runs_when_nothing_is_generated(process: Process) -> None:
    def running() -> bool:
        return any(thread.name == "generation" for thread in threading.enumerate())

    for _ in range(3):
        with process.generations.begin(a_thread(), MESSAGE):
            assert running()
        until(lambda: not running())


def test_a_session_has_a_thread_too(process: Process, rows: Rows) -> None:
    session = AgentSessionName("local", "default", uuid.uuid4().hex)
    with process.generations.begin(session, MESSAGE) as generation:
        generation.append("hello")
    assert str(generation.name) == f"{session}/events/1"
    assert rows("SELECT t.name, e.text FROM threads t JOIN events e ON e.thread = t.id") == [
        (f"agentSessions/{session.agent_session}", "hello")
    ]


def test_eight_writers_in_one_thread_stay_in_order(process: Process, rows: Rows) -> None:
    thread, repeats = a_thread(), 10

    def write(number: int) -> dict[str, str]:
        texts = {}
        for _ in range(repeats):
            with process.generations.begin(thread, MESSAGE) as generation:
                words = [f"{number}.{word} " for word in range(20)]
                for word in words:
                    generation.append(word)
                    time.sleep(0.003)
            texts[str(generation.name)] = "".join(words)
        return texts

    with ThreadPoolExecutor(8) as pool:
        written = {
            name: text for texts in pool.map(write, range(8)) for name, text in texts.items()
        }
    listed = process.list(thread)
    assert {event.name: text_of(event) for event in listed} == written
    begun = [event.create_time.ToNanoseconds() for event in listed]
    assert begun == sorted(begun, reverse=True)
    [(last, taken)] = rows(
        """
        SELECT (SELECT last FROM threads), array_agg(sequence)
        FROM (SELECT id FROM events UNION ALL SELECT completed FROM events) AS e (sequence)
        """
    )
    assert len(set(taken)) == 2 * 8 * repeats
    assert max(taken) == last
    [(is_in_order,)] = rows(
        """
        SELECT bool_and(ordered) FROM (
          SELECT update_time >= lag(update_time) OVER (ORDER BY completed) AS ordered FROM events
        )
        """
    )
    assert is_in_order


@pytest.mark.parametrize("is_busy", [True, False])
def test_what_is_cancelled_elsewhere_stops_and_stays(
    process: Process, events: EventServiceStub, is_busy: bool
) -> None:
    thread = a_thread()
    generation = process.generations.begin(thread, MESSAGE)
    generation.append("kept ")
    if is_busy:
        with writing(generation) as words:
            until(lambda: len(words) > 20)
            cancel(events, thread)
            assert generation.cancelled.wait(10)
    else:
        words = []
        cancel(events, thread)
        assert generation.cancelled.wait(10)
    generation.append("not kept")
    assert generation.complete()
    event = process.get(generation)
    assert event.state == COMPLETE
    assert text_of(event).startswith("kept ")
    assert "".join(["kept ", *words]).startswith(text_of(event))
    assert len(text_of(event).split()) >= len(words)


def test_an_agent_that_does_not_listen_is_stopped_all_the_same(
    process: Process, events: EventServiceStub
) -> None:
    thread = a_thread()
    generation = process.generations.begin(thread, MESSAGE)
    generation.append("kept")
    cancel(events, thread)
    until(lambda: process.get(generation).state == COMPLETE)
    assert text_of(process.get(generation)) == "kept"


def test_what_begins_after_a_cancel_goes_on(process: Process, events: EventServiceStub) -> None:
    thread, request_id = a_thread(), uuid.uuid4().hex
    first = process.generations.begin(thread, MESSAGE)
    cancel(events, thread, request_id)
    until(first.cancelled.is_set)
    second = process.generations.begin(thread, MESSAGE)
    cancel(events, thread, request_id)
    other = process.generations.begin(a_thread(), MESSAGE)
    cancel(events, a_thread())
    assert not second.cancelled.wait(1)
    assert not other.cancelled.is_set()
    cancel(events, thread)
    assert second.cancelled.wait(10)


def test_a_cancel_of_nothing_is_remembered_too(
    process: Process, events: EventServiceStub, rows: Rows
) -> None:
    thread, request_id = a_thread(), uuid.uuid4().hex
    cancel(events, thread)
    assert rows("SELECT * FROM threads UNION ALL SELECT * FROM threads") == []
    cancel(events, thread, request_id)
    generation = process.generations.begin(thread, MESSAGE)
    cancel(events, thread, request_id)
    assert not generation.cancelled.wait(1)
    assert rows("SELECT resource, method, request_id FROM changes") == [
        (str(thread), "/kintsugi.v1.EventService/CancelGeneration", request_id)
    ]
    with pytest.raises(grpc.RpcError) as error:
        cancel(events, a_thread(), request_id)
    assert reason(error.value) == "REQUEST_ID_REUSED"


@pytest.mark.parametrize(
    "parent",
    [
        "organizations/local/workspaces/none/automations/a/runs/r/agents/kai",
        "organizations/local/workspaces/default/agentSessions/none",
    ],
)
def test_there_is_nothing_to_cancel_where_there_is_nothing(
    events: EventServiceStub, parent: str
) -> None:
    with pytest.raises(grpc.RpcError) as error:
        events.CancelGeneration(service.CancelGenerationRequest(parent=parent))
    assert error.value.code() is grpc.StatusCode.NOT_FOUND


DYING_AGENT = """
import sys, threading
from tests.integration.test_generation import MESSAGE, Process
from server.domain.names import parse_thread
generation = Process(sys.argv[1]).generations.begin(parse_thread(sys.argv[2]), MESSAGE)
generation.append("its last words")
print(generation.name, flush=True)
threading.Event().wait()
"""


@pytest.fixture
def orphan(database: str, process: Process) -> EventName:
    """An event whose writer was killed when some of the text was written."""
    thread = a_thread()
    agent = subprocess.Popen(
        [sys.executable, "-c", DYING_AGENT, database, str(thread)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert agent.stdout is not None
    with agent:
        name = EventName.parse(agent.stdout.readline().strip())
        until(lambda: text_of(process.list(thread)[0]))
        agent.send_signal(signal.SIGKILL)
    return name


def test_an_event_whose_writer_was_killed_is_completed(process: Process, orphan: EventName) -> None:
    time.sleep(0.3)
    assert complete_orphans(process.store) == 0
    assert complete_orphans(process.store, silence_seconds=0.2) == 1
    [event] = process.list(orphan.parent)
    assert (event.state, text_of(event)) == (COMPLETE, "its last words")


def test_an_orphan_is_completed_when_it_is_cancelled(
    process: Process,
    orphan: EventName,
    events: EventServiceStub,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cancel(events, orphan.parent)
    assert process.list(orphan.parent)[0].state == STREAMING
    monkeypatch.setattr("server.operations.generation._SILENCE_SECONDS", 0.2)
    time.sleep(0.3)
    cancel(events, orphan.parent)
    assert process.list(orphan.parent)[0].state == COMPLETE


def test_a_writer_that_has_nothing_to_say_is_still_alive(
    process: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("server.operations.event_writer._HEARTBEAT_SECONDS", 0.2)
    generation = process.generations.begin(a_thread(), MESSAGE)
    time.sleep(2.5)
    assert complete_orphans(process.store, silence_seconds=2) == 0
    assert process.get(generation).state == STREAMING


def test_a_database_that_goes_away_costs_no_text(process: Process, rows: Rows) -> None:
    generations = [process.generations.begin(a_thread(), MESSAGE) for _ in range(4)]
    texts = ["" for _ in generations]
    for moment in range(300):
        for number, generation in enumerate(generations):
            word = f"{number}.{moment} "
            generation.append(word)
            texts[number] += word
        if moment in (60, 160, 270):
            rows(
                """
                SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                WHERE datname = current_database() AND pid <> pg_backend_pid()
                """
            )
        time.sleep(0.01)
    assert all(generation.complete() for generation in generations)
    assert [text_of(process.get(generation)) for generation in generations] == texts


def test_an_answer_that_was_lost_is_not_written_twice(
    process: Process, rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The transaction commits, but the connection is gone before that is said."""
    generation = process.generations.begin(a_thread(), MESSAGE)
    real = process.database.transaction
    lost: list[int] = []

    @contextmanager
    def losing() -> Iterator[Any]:
        with real() as transaction:
            yield transaction
        if len(lost) < 2:
            lost.append(1)
            raise DatabaseUnavailable

    monkeypatch.setattr(process.database, "transaction", losing)
    generation.append("once ")
    until(lambda: len(lost) == 1)
    generation.append("and for all")
    until(lambda: text_of(process.get(generation)) == "once and for all")
    assert generation.complete()
    assert text_of(process.get(generation)) == "once and for all"


def test_a_hundred_answers_at_once_are_whole_and_cheap(process: Process, rows: Rows) -> None:
    """32 KB each, in 200 pieces: written whole each time it would be 3.3 MB an answer."""
    agents, pieces = 100, [uuid.uuid4().hex * 5 for _ in range(200)]
    position = "SELECT CAST(pg_current_wal_insert_lsn() - '0/0' AS bigint)"
    [(before,)] = rows(position)
    generations = [process.generations.begin(a_thread(), MESSAGE) for _ in range(agents)]
    for piece in pieces:
        for generation in generations:
            generation.append(piece)
        time.sleep(0.02)
    assert all(generation.complete() for generation in generations)
    [(after,)] = rows(position)
    assert {text_of(process.get(generation)) for generation in generations} == {"".join(pieces)}
    assert rows("SELECT count(*) FROM event_chunks") == [(0,)]
    assert (after - before) / agents < 800_000
