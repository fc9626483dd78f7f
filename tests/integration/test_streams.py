"""Following a thread: nothing lost, nothing twice, in one order for everybody."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import grpc
import psycopg
import pytest
from kintsugi.v1 import event_pb2 as pb

from server.streams import cursor
from tests.integration.client import WORKSPACE, Client, reason, violations
from tests.integration.conftest import StartServer
from tests.integration.following import (
    Writing,
    drop_every,
    new_thread,
    reading,
    stream,
    whole,
)
from tests.integration.waiting import until


@pytest.fixture
def writing(database: str) -> Iterator[Writing]:
    with closing(Writing(database)) as made:
        yield made


@pytest.fixture
def thread() -> str:
    return new_thread()


def ids(client: Client, thread: str) -> list[str]:
    """What the log holds, in the order in which it became whole."""
    names = [event.name for event in client.list_events(thread, page_size=1000).events]
    return [name.rpartition("/")[2] for name in reversed(names)]


def test_a_stream_begins_with_what_there_is_and_goes_on(client: Client, thread: str) -> None:
    said = [client.say(thread, f"before {n}") for n in range(3)]
    with reading(stream(client, thread)) as reader:
        reader.wait(lambda messages: len(messages) == 3)
        said += [client.say(thread, f"after {n}") for n in range(3)]
        reader.wait(lambda messages: len(messages) == 6)
    assert [message.event for message in reader.messages] == said


def test_a_thread_that_is_unknown_yet_is_followed_from_its_first_event(
    client: Client, thread: str
) -> None:
    with reading(stream(client, thread)) as reader:
        said = client.say(thread)
        reader.wait(lambda messages: messages)
    assert reader.messages[0].event == said


def test_a_cursor_goes_on_right_behind_its_message(client: Client, thread: str) -> None:
    said = [client.say(thread, str(n)) for n in range(5)]
    with reading(stream(client, thread)) as reader:
        reader.wait(lambda messages: len(messages) == 5)
    for number, message in enumerate(reader.messages[:-1]):
        with reading(stream(client, thread, after=message.cursor)) as again:
            again.wait(lambda messages, number=number: len(messages) == 4 - number)
        assert [each.event for each in again.messages] == said[number + 1 :]


def test_pages_of_a_long_thread_follow_each_other(client: Client, thread: str) -> None:
    large = [client.say(thread, "x" * 60_000) for _ in range(5)]
    small = [client.say(thread, str(n)) for n in range(300)]
    with reading(stream(client, thread)) as reader:
        reader.wait(lambda messages: len(messages) == 305)
    assert [message.event.name for message in reader.messages] == [
        event.name for event in (*large, *small)
    ]


def test_readers_that_drop_their_streams_at_every_kth_message_see_exactly_the_log(
    client: Client, thread: str
) -> None:
    finished = threading.Event()
    with ThreadPoolExecutor(40) as pool, reading(stream(client, thread)) as steady:
        readers = {
            every: pool.submit(drop_every, client, thread, every, finished.is_set)
            for every in range(1, 21)
        }
        writers = [
            pool.submit(lambda n=n: [client.say(thread, f"{n} {m}") for m in range(25)])
            for n in range(8)
        ]
        for writer in writers:
            writer.result()
        finished.set()
        log = ids(client, thread)
        assert len(log) == 200
        for every, reader in readers.items():
            assert whole(reader.result(90)) == log, every
        steady.wait(lambda messages: len(messages) == 200)
    assert steady.whole == log


def test_a_generated_event_grows_and_then_comes_whole_once(
    client: Client, writing: Writing, thread: str
) -> None:
    with reading(stream(client, thread)) as reader:
        name = writing.thread(thread)
        with writing.generations.begin(name, pb.Event(agent_message={"content": "a"})) as event:
            reader.wait(lambda messages: messages)
            for letter in "bcdef":
                event.append(letter)
                reader.wait(lambda messages, end=letter: content(messages[-1]).endswith(end))
        reader.wait(whole)
    texts = [content(message) for message in reader.messages]
    assert texts == sorted(texts, key=len)
    assert {"ab", "abc", "abcd", "abcde", "abcdef"} <= set(texts)
    assert len(whole(reader.messages)) == 1


def test_two_readers_share_what_is_generated_and_one_resumes_in_its_midst(
    client: Client, writing: Writing, thread: str
) -> None:
    name = writing.thread(thread)
    with writing.generations.begin(name, pb.Event(agent_message={"content": "a"})) as event:
        with reading(stream(client, thread)) as first:
            event.append("b")
            first.wait(lambda messages: messages and content(messages[-1]) == "ab")
        client.say(thread, "meanwhile")
        with reading(stream(client, thread, after=first.messages[-1].cursor)) as second:
            second.wait(lambda messages: messages)
            assert content(second.messages[0]) == "meanwhile"
            event.append("c")
            second.wait(lambda messages: content(messages[-1]) == "abc")
            with reading(stream(client, thread)) as third:
                third.wait(lambda messages: len(messages) == 2)
                event.append("d")
                for reader in (second, third):
                    reader.wait(lambda messages: content(messages[-1]) == "abcd")
                event.complete()
                for reader in (second, third):
                    reader.wait(lambda messages: len(whole(messages)) == 2)
    assert content(second.messages[-1]) == "abcd"
    assert second.whole == third.whole
    assert [content(message) for message in third.messages[:2]] == ["meanwhile", "abc"]


def test_a_burst_does_not_confuse_what_is_being_generated(
    client: Client, writing: Writing, thread: str
) -> None:
    name = writing.thread(thread)
    with (
        reading(stream(client, thread)) as reader,
        writing.generations.begin(name, pb.Event(agent_message={"content": "a"})) as event,
    ):
        for number, letter in enumerate("bcde", start=1):
            writing.say_at_once(thread, 300)
            event.append(letter)
            writing.say_at_once(thread, 300)
            reader.wait(lambda messages, count=600 * number: len(whole(messages)) == count)
            expected = "abcde"[: number + 1]
            reader.wait(
                lambda messages, expected=expected: expected in {content(each) for each in messages}
            )
        event.complete()
        reader.wait(lambda messages: len(whole(messages)) == 2401)
    partial = [content(each) for each in reader.messages if not whole([each])]
    assert partial == sorted(partial, key=len)
    assert content(reader.messages[-1]) == "abcde"
    assert reader.whole[:-1] == sorted(reader.whole[:-1], key=int)


@pytest.mark.parametrize("count", [160, 224])
def test_a_burst_beside_an_idle_event_is_told_whole(
    client: Client, writing: Writing, thread: str, count: int
) -> None:
    name = writing.thread(thread)
    with (
        writing.generations.begin(name, pb.Event(agent_message={"content": "a"})) as idle,
        reading(stream(client, thread)) as reader,
    ):
        idle.append("b")
        reader.wait(lambda messages: messages and content(messages[-1]) == "ab")
        writing.say_at_once(thread, count)
        reader.wait(lambda messages: len(whole(messages)) >= count - 1)
        last = int(client.say(thread, "after").name.rpartition("/")[2])
        reader.wait(lambda messages: str(last) in whole(messages))
        assert [int(id) for id in reader.whole] == list(range(last - count, last + 1))


def test_an_idle_event_hides_no_whole_one_from_readers_that_drop_their_streams(
    client: Client, writing: Writing, thread: str
) -> None:
    name = writing.thread(thread)
    with writing.generations.begin(name, pb.Event(agent_message={"content": "a"})):
        writing.say_at_once(thread, 300)
        for every in (1, 7, 50, 299, 300, 301):
            messages = drop_every(client, thread, every, lambda: True)
            assert [int(id) for id in whole(messages)] == list(range(2, 302)), every


def content(message: object) -> str:
    event: pb.Event = message.event  # type: ignore[attr-defined]
    return event.agent_message.content or event.user_message.content


def test_a_stream_waits_for_who_has_the_lower_sequence(
    client: Client, database: str, thread: str
) -> None:
    client.say(thread, "first")
    with reading(stream(client, thread)) as reader, ThreadPoolExecutor(1) as pool:
        with psycopg.connect(database) as slow:
            slow.execute("UPDATE threads SET last = last + 1")
            quick = pool.submit(client.say, thread, "second")
            slow.execute(
                "INSERT INTO events SELECT workspace, thread, id + 1, completed + 1, state, kind,"
                " exception, 'slow', details, create_time, update_time FROM events"
            )
            slow.commit()
        quick.result(20)
        reader.wait(lambda messages: len(messages) == 3)
    assert [content(message) for message in reader.messages] == ["first", "slow", "second"]


def test_a_filter_holds_for_what_is_there_and_what_comes(client: Client, thread: str) -> None:
    client.say(thread, "before")
    with reading(stream(client, thread, filter="kind = AGENT_MESSAGE")) as none:
        with reading(stream(client, thread, filter="kind = USER_MESSAGE")) as all_of_them:
            client.say(thread, "after")
            all_of_them.wait(lambda messages: len(messages) == 2)
        assert none.messages == []


def test_a_filter_that_cannot_be_used_is_refused_before_anything_is_sent(
    client: Client, thread: str
) -> None:
    with pytest.raises(grpc.RpcError) as error:
        next(stream(client, thread, filter="kin = USER_MESSAGE"))
    assert reason(error.value) == "FILTER_TYPE"


def test_a_quiet_stream_is_sent_cursors_that_can_be_gone_on_from(
    start_server: StartServer, thread: str
) -> None:
    client = start_server(checkpoint_seconds=0.2)
    with reading(stream(client, thread, filter="kind = AGENT_MESSAGE")) as reader:
        reader.wait(lambda _: len(reader.cursors) >= 3)
        client.say(thread)
        reader.wait(lambda _: len(set(reader.cursors)) == 2)
    with reading(stream(client, thread, after=reader.cursors[-1])) as again:
        said = client.say(thread)
        again.wait(lambda messages: messages)
    assert again.messages[0].event == said


@pytest.mark.parametrize(
    "damage", [lambda c: c[:-1], lambda c: c + "AAAA", lambda c: "é", str.lower]
)
def test_a_damaged_cursor_is_refused(shared_client: Client, thread: str, damage) -> None:
    shared_client.say(thread)
    after = next(stream(shared_client, thread)).cursor
    with pytest.raises(grpc.RpcError) as error:
        next(stream(shared_client, thread, after=damage(after)))
    assert reason(error.value) == "CURSOR_INVALID"
    assert list(violations(error.value)) == ["after"]


@pytest.mark.parametrize("position", ["1.9223372036854775808", "1.-1", "1", "x", "1.1_0", "²"])
def test_a_forged_cursor_is_refused(
    client: Client, database: str, thread: str, position: str
) -> None:
    client.say(thread)
    with psycopg.connect(database) as connection:
        [uid] = connection.execute("SELECT uid FROM workspaces").fetchone() or ()
    forged = cursor.encode(f"{uid}/{thread.removeprefix(WORKSPACE + '/')}/events", position)
    with pytest.raises(grpc.RpcError) as error:
        next(stream(client, thread, after=forged))
    assert reason(error.value) == "CURSOR_INVALID"


def test_a_cursor_of_another_thread_is_refused(shared_client: Client, thread: str) -> None:
    shared_client.say(thread)
    after = next(stream(shared_client, thread)).cursor
    with pytest.raises(grpc.RpcError) as error:
        next(stream(shared_client, new_thread(), after=after))
    assert reason(error.value) == "CURSOR_INVALID"


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE threads SET pruned_through = 2",
        "UPDATE threads SET last = 0",
        "INSERT INTO clusters SELECT 2, 42, now()",
    ],
)
def test_a_cursor_of_what_is_gone_has_expired(
    client: Client, database: str, thread: str, change: str
) -> None:
    for _ in range(3):
        client.say(thread)
    after = next(stream(client, thread)).cursor
    with psycopg.connect(database) as connection:
        connection.execute(change)
    with pytest.raises(grpc.RpcError) as error:
        next(stream(client, thread, after=after))
    assert error.value.code() is grpc.StatusCode.FAILED_PRECONDITION
    assert reason(error.value) == "CURSOR_EXPIRED"


def test_a_pruned_thread_streams_from_what_is_kept(
    client: Client, database: str, thread: str
) -> None:
    said = [client.say(thread) for _ in range(3)]
    with psycopg.connect(database) as connection:
        connection.execute("UPDATE threads SET pruned_through = 2")
        connection.execute("DELETE FROM events WHERE completed <= 2")
    assert next(stream(client, thread)).event == said[2]


def test_what_is_unknown_is_not_found_before_anything_is_sent(client: Client) -> None:
    elsewhere = WORKSPACE.replace("default", "nowhere")
    for thread in (
        f"{elsewhere}/automations/a/runs/r/agents/kai",
        f"{WORKSPACE}/agentSessions/17",
    ):
        with pytest.raises(grpc.RpcError) as error:
            next(stream(client, thread))
        assert reason(error.value) == "RESOURCE_NOT_FOUND"


def test_a_killed_listener_delays_but_loses_nothing(
    client: Client, database: str, thread: str
) -> None:
    with reading(stream(client, thread)) as reader:
        for number in range(20):
            if number % 5 == 0:
                kill_listeners(database)
            client.say(thread, str(number))
        reader.wait(lambda messages: len(messages) == 20)
    assert [content(message) for message in reader.messages] == [str(n) for n in range(20)]


def kill_listeners(database: str) -> None:
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
            " WHERE datname = current_database() AND query LIKE 'LISTEN%'"
        )


def test_one_caller_has_only_so_many_streams(start_server: StartServer, thread: str) -> None:
    client = start_server(max_streams_per_principal=3)
    calls = [stream(client, thread) for _ in range(3)]
    for call in calls:
        call.initial_metadata()
    with pytest.raises(grpc.RpcError) as error:
        next(stream(client, thread))
    assert reason(error.value) == "TOO_MANY_STREAMS"
    assert error.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    calls[0].cancel()

    def is_let_in() -> bool:
        call = stream(client, thread)
        calls.append(call)
        try:
            call.initial_metadata()
            return call.is_active()
        finally:
            call.cancel()

    until(is_let_in)
    for call in calls:
        call.cancel()


def test_a_server_that_stops_says_so_with_a_cursor(
    start_server: StartServer, thread: str, database: str
) -> None:
    from server.app import Server
    from server.config import Settings

    server = Server(Settings(database_url=database, grpc_port=0, grace_seconds=3))
    client = Client(server.start())
    said = client.say(thread)
    with reading(stream(client, thread)) as reader:
        reader.wait(lambda messages: messages)
        server.stop()
        reader.wait_ended()
    assert reader.messages[0].event == said
    assert reader.messages[-1].error.details
    assert reader.error is not None
    assert reason(reader.error) == "SERVER_STOPPING"
    assert reader.error.code() is grpc.StatusCode.UNAVAILABLE
    other = start_server()
    with reading(stream(other, thread, after=reader.messages[-1].cursor)) as again:
        more = other.say(thread)
        again.wait(lambda messages: messages)
    assert again.messages[0].event == more
