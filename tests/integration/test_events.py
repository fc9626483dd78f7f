"""Events over gRPC, on a real database: saying something in a thread, and reading it."""

import base64
import threading
import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import psycopg
import pytest
from kintsugi.v1 import event_pb2 as pb

from server.domain.event_rules import MAX_INLINE_BYTES
from tests.integration.client import (
    WORKSPACE,
    Client,
    new_exception,
    new_run,
    new_thread,
    reason,
    violations,
)

SESSION = f"{WORKSPACE}/agentSessions/s1"
CONTENTS = [
    {"agent_message": {"content": "x"}},
    {"tool_call_request": {"input": "x"}},
    {"tool_call_result": {"result": "x"}},
    {"thinking": {"content": "x"}},
    {"system_message": {"content": "x"}},
    {"completion_response": {"content": "x"}},
]
KIB = 1024


def with_items(*items: dict[str, Any]) -> pb.Event:
    return pb.Event(user_message={"content_list": {"items": list(items)}})


def inline(content: bytes = b"a,b", **fields: str) -> dict[str, Any]:
    return {"file": {"inline": {"mime_type": "text/csv", "content": content} | fields}}


def refusal(client: Client, event: pb.Event, thread: str = "") -> dict[str, str]:
    """What is wrong with an event, by fields."""
    with pytest.raises(grpc.RpcError) as error:
        client.create_event(thread or new_thread(), event)
    assert error.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert reason(error.value) == "INVALID_FIELDS"
    return violations(error.value)


def assert_not_found(call: Any, *arguments: Any) -> None:
    with pytest.raises(grpc.RpcError) as error:
        call(*arguments)
    assert error.value.code() is grpc.StatusCode.NOT_FOUND
    assert reason(error.value) == "RESOURCE_NOT_FOUND"


def test_what_is_said_can_be_read(shared_client: Client) -> None:
    thread = new_thread()
    said = shared_client.say(thread, "Shall I run it again?")
    assert said.name == f"{thread}/events/1"
    assert said.state == pb.Event.STATE_COMPLETE
    assert said.kind == pb.EVENT_KIND_USER_MESSAGE
    assert said.user_message.user == "users/local"
    assert said.user_message.content == "Shall I run it again?"
    assert said.exception == ""
    assert said.create_time == said.update_time
    assert said.create_time.seconds > 1_700_000_000
    assert shared_client.get_event(said.name) == said
    assert list(shared_client.list_events(thread).events) == [said]


def test_texts_and_files_come_back_as_they_were_given(shared_client: Client) -> None:
    everything = bytes(range(256))
    given = with_items(
        {"text": "this file:"},
        inline(everything, filename="invoices.csv"),
        inline(b"x", mime_type="application/vnd.ms-excel; charset=utf-8"),
        {"file": {"remote": "https://example.com/invoices.csv"}},
    )
    said = shared_client.create_event(new_thread(), given)
    assert said.user_message.content_list == given.user_message.content_list
    assert said.user_message.user == "users/local"
    assert shared_client.get_event(said.name) == said


def test_what_only_the_service_sets_is_ignored(shared_client: Client) -> None:
    given = pb.Event(
        name="nonsense",
        state=pb.Event.STATE_STREAMING,
        kind=pb.EVENT_KIND_THINKING,
        create_time={"seconds": 1},
        user_message={"content": "x", "user": "users/local"},
    )
    said = shared_client.create_event(new_thread(), given)
    assert said.name.endswith("/events/1")
    assert (said.state, said.kind) == (pb.Event.STATE_COMPLETE, pb.EVENT_KIND_USER_MESSAGE)
    assert said.create_time.seconds > 1


@pytest.mark.parametrize("content", CONTENTS, ids=lambda each: next(iter(each)))
def test_only_user_messages_can_be_created(shared_client: Client, content: dict[str, Any]) -> None:
    [name] = content
    assert refusal(shared_client, pb.Event(**content)) == {
        f"event.{name}": "is written by agents and the service; only user_message can be created"
    }


MESSAGE = "event.user_message"
ITEMS = f"{MESSAGE}.content_list.items"


@pytest.mark.parametrize(
    ("event", "field"),
    [
        (pb.Event(exception=f"{WORKSPACE}/exceptions/e"), MESSAGE),
        (pb.Event(user_message={}), MESSAGE),
        (pb.Event(user_message={"content": ""}), f"{MESSAGE}.content"),
        (pb.Event(user_message={"content": "nul\0"}), f"{MESSAGE}.content"),
        (pb.Event(user_message={"content": "ä" * (32 * KIB + 1)}), f"{MESSAGE}.content"),
        (pb.Event(user_message={"content": "x", "user": "users/eve"}), f"{MESSAGE}.user"),
        (pb.Event(user_message={"content": "x", "user": "eve"}), f"{MESSAGE}.user"),
        (pb.Event(user_message={"content_list": {}}), ITEMS),
        (with_items(*[{"text": "x"}] * 33), ITEMS),
        (with_items({"text": "x"}, {}), f"{ITEMS}[1]"),
        (with_items({"text": ""}), f"{ITEMS}[0].text"),
        (with_items({"text": "x" * (64 * KIB + 1)}), f"{ITEMS}[0].text"),
        (with_items({"file": {}}), f"{ITEMS}[0].file"),
        (with_items({"file": {"remote": ""}}), f"{ITEMS}[0].file.remote"),
        (with_items({"file": {"remote": "x" * 2049}}), f"{ITEMS}[0].file.remote"),
        (with_items(inline(b"")), f"{ITEMS}[0].file.inline.content"),
        (with_items(inline(mime_type="")), f"{ITEMS}[0].file.inline.mime_type"),
        (with_items(inline(mime_type="csv")), f"{ITEMS}[0].file.inline.mime_type"),
        (with_items(inline(mime_type="text/csv\n")), f"{ITEMS}[0].file.inline.mime_type"),
        (with_items(inline(mime_type="a/b/c")), f"{ITEMS}[0].file.inline.mime_type"),
        (with_items(inline(filename="../x")), f"{ITEMS}[0].file.inline.filename"),
        (with_items(inline(filename="c:\\x")), f"{ITEMS}[0].file.inline.filename"),
        (with_items(inline(filename="x" * 256)), f"{ITEMS}[0].file.inline.filename"),
    ],
)
def test_a_message_that_says_nothing_useful_is_refused(
    shared_client: Client, event: pb.Event, field: str
) -> None:
    assert list(refusal(shared_client, event)) == [field]


def test_files_of_one_mebibyte_together_are_taken_and_no_more(shared_client: Client) -> None:
    half = b"x" * (MAX_INLINE_BYTES // 2)
    said = shared_client.create_event(new_thread(), with_items(inline(half), inline(half)))
    assert [len(item.file.inline.content) for item in said.user_message.content_list.items] == [
        MAX_INLINE_BYTES // 2
    ] * 2
    assert refusal(shared_client, with_items(inline(half), inline(half), inline(b"y"))) == {
        ITEMS: "carry files of 1048577 bytes; at most 1048576 are allowed"
    }


def test_an_event_may_be_about_an_exception_of_its_run(shared_client: Client) -> None:
    raised = shared_client.raise_one()
    said = shared_client.say(f"{raised.run}/agents/other", exception=raised.name)
    assert said.exception == raised.name
    assert shared_client.get_event(said.name) == said


def test_an_event_is_never_about_what_its_run_does_not_know(shared_client: Client) -> None:
    raised, thread = shared_client.raise_one(), new_thread()
    unknown = f"{WORKSPACE}/exceptions/unknown"
    elsewhere = raised.name.replace("/default/", "/other/")
    for name, what in (
        (raised.name, "is of another run"),
        (unknown, "doesn't exist"),
        (elsewhere, "workspace"),
    ):
        event = pb.Event(user_message={"content": "x"}, exception=name)
        [(field, said)] = refusal(shared_client, event, thread).items()
        assert field == "event.exception"
        assert what in said
    event = pb.Event(user_message={"content": "x"}, exception="nonsense")
    [(field, said)] = refusal(shared_client, event, thread).items()
    assert field == "event.exception"
    assert "exceptions/{exception}" in said


def test_a_thread_that_nobody_wrote_to_is_empty(shared_client: Client) -> None:
    listed = shared_client.list_events(new_thread())
    assert (list(listed.events), listed.total_size, listed.next_page_token) == ([], 0, "")


@pytest.mark.parametrize("id", ["2", "0", "01", "first", "1e0", "9" * 18, "9" * 19, "9" * 100])
def test_an_event_that_is_not_there_is_not_found(shared_client: Client, id: str) -> None:
    thread = new_thread()
    shared_client.say(thread)
    assert_not_found(shared_client.get_event, f"{thread}/events/{id}")


def test_nothing_is_in_an_unknown_workspace_or_session(shared_client: Client) -> None:
    for thread in (SESSION, new_thread().replace("/default/", "/unknown/")):
        assert_not_found(shared_client.list_events, thread)
        assert_not_found(shared_client.get_event, f"{thread}/events/1")
        assert_not_found(shared_client.say, thread)


@pytest.mark.parametrize(
    ("name", "form"),
    [
        (f"{WORKSPACE}/automations/a/runs/r/agents/-/events/1", "agents/{agent}/events/{event}"),
        (f"{SESSION}/event/1", "agentSessions/{agent_session}/events/{event}"),
        ("nonsense", "agents/{agent}/events/{event}"),
    ],
)
def test_a_malformed_name_is_told_the_form_that_was_meant(
    shared_client: Client, name: str, form: str
) -> None:
    with pytest.raises(grpc.RpcError) as error:
        shared_client.get_event(name)
    assert violations(error.value)["name"].endswith(form)


def test_threads_know_nothing_of_each_other(shared_client: Client) -> None:
    run = new_run()
    first, second = (shared_client.say(f"{run}/agents/{agent}") for agent in ("kai", "other"))
    assert first.name == f"{run}/agents/kai/events/1"
    assert second.name == f"{run}/agents/other/events/1"
    assert list(shared_client.list_events(f"{run}/agents/kai").events) == [first]


def test_events_list_newest_first_and_none_is_lost_among_eight_writers(
    shared_client: Client,
) -> None:
    thread = new_thread()
    with ThreadPoolExecutor(8) as pool:
        said = list(pool.map(lambda number: shared_client.say(thread, str(number)), range(80)))
    listed = shared_client.list_events(thread, page_size=1000)
    assert listed.total_size == 80
    assert sorted(said, key=lambda event: event.name) == sorted(
        listed.events, key=lambda event: event.name
    )
    ids = [int(event.name.rpartition("/")[2]) for event in listed.events]
    assert ids == list(range(80, 0, -1))
    times = [event.create_time.ToNanoseconds() for event in listed.events]
    assert times == sorted(times, reverse=True)


def test_paging_misses_nothing_while_eight_writers_append(shared_client: Client) -> None:
    thread = new_thread()
    promised = {shared_client.say(thread).name for _ in range(60)}
    done = threading.Event()

    def write() -> None:
        while not done.wait(0.01):
            shared_client.say(thread)

    with ThreadPoolExecutor(8) as pool:
        writers = [pool.submit(write) for _ in range(8)]
        try:
            listings = [page_through(shared_client, thread, size) for size in (1, 7, 16, 17, 50)]
        finally:
            done.set()
        for writer in writers:
            writer.result()
    for seen, totals in listings:
        ids = [int(name.rpartition("/")[2]) for name in seen]
        assert ids == list(range(ids[0], 0, -1))
        assert promised <= set(seen)
        [total] = set(totals)
        assert len(promised) <= total <= len(seen)


def page_through(client: Client, thread: str, size: int) -> tuple[list[str], list[int]]:
    """The names on all pages, and what each said is the total."""
    seen: list[str] = []
    totals: list[int] = []
    token = ""
    while True:
        page = client.list_events(thread, page_size=size, page_token=token)
        seen += [event.name for event in page.events]
        totals.append(page.total_size)
        token = page.next_page_token
        if not token:
            return seen, totals


def test_a_page_token_belongs_to_its_thread_and_filter(shared_client: Client) -> None:
    run = new_run()
    thread, other = f"{run}/agents/a", f"{run}/agents/b"
    for _ in range(3):
        shared_client.say(thread)
    token = shared_client.list_events(thread, page_size=1).next_page_token
    for parent, filter in ((other, ""), (thread, "kind = USER_MESSAGE")):
        with pytest.raises(grpc.RpcError) as error:
            shared_client.list_events(parent, page_token=token, filter=filter)
        assert reason(error.value) == "PAGE_TOKEN_INVALID"
    assert len(shared_client.list_events(thread, page_token=token, page_size=2).events) == 2


def test_a_page_of_large_events_ends_early(shared_client: Client) -> None:
    thread = new_thread()
    large = with_items(inline(b"x" * MAX_INLINE_BYTES))
    for _ in range(9):
        shared_client.create_event(thread, large)
    page = shared_client.list_events(thread, page_size=1000)
    assert page.ByteSize() <= 4 * KIB * KIB
    assert len(page.events) == 3
    seen, totals = page_through(shared_client, thread, 1000)
    assert (len(seen), len(set(seen)), set(totals)) == (9, 9, {9})


def test_events_are_found_by_what_they_are_about(shared_client: Client) -> None:
    run = new_run()
    thread = f"{run}/agents/other"
    first, second = (shared_client.raise_one(run=run, execution_id=str(n)) for n in range(2))
    about_first = shared_client.say(thread, exception=first.name)
    about_second = shared_client.say(thread, exception=second.name)
    about_none = shared_client.say(thread)
    ids = [raised.name.rpartition("/")[2] for raised in (first, second)]
    elsewhere = first.name.replace("/default/", "/other/")
    for filter, found in {
        f'exception = "{ids[0]}"': [about_first],
        f'exception = "{first.name}"': [about_first],
        f'exception = "{elsewhere}"': [],
        f'exception = "{ids[0]}" OR exception = "{ids[1]}"': [about_second, about_first],
        f'exception = "{ids[0]}" OR exception = "{second.name}"': [about_second, about_first],
        f'exception != "{ids[0]}"': [about_none, about_second],
        f'NOT (exception = "{ids[0]}" OR exception = "{ids[1]}")': [about_none],
        'exception = ""': [about_none],
        "exception:*": [about_second, about_first],
        'exception = "exc-123"': [],
    }.items():
        listed = shared_client.list_events(thread, filter=filter)
        assert list(listed.events) == found, filter
        assert listed.total_size == len(found)


def test_events_are_found_by_kind_state_and_time(shared_client: Client) -> None:
    raised = shared_client.raise_one()
    thread = f"{raised.run}/agents/kai"
    [told] = shared_client.list_events(thread).events
    said = shared_client.say(thread)
    for filter, found in {
        "kind = USER_MESSAGE": [said],
        "kind = EVENT_KIND_SYSTEM_MESSAGE": [told],
        "state = COMPLETE": [said, told],
        "state = STATE_STREAMING": [],
        f'create_time >= "{said.create_time.ToJsonString()}"': [said],
        f'create_time < "{said.create_time.ToJsonString()}"': [told],
        f'create_time = "{told.create_time.ToJsonString()}" kind != USER_MESSAGE': [told],
    }.items():
        assert list(shared_client.list_events(thread, filter=filter).events) == found, filter


@pytest.mark.parametrize(
    ("filter", "why"),
    [("exception =", "FILTER_SYNTAX"), ("text = x", "FILTER_TYPE"), ("kind = x", "FILTER_TYPE")],
)
def test_a_filter_that_means_nothing_is_refused(
    shared_client: Client, filter: str, why: str
) -> None:
    with pytest.raises(grpc.RpcError) as error:
        shared_client.list_events(new_thread(), filter=filter)
    assert reason(error.value) == why


def test_an_event_being_generated_shows_its_text_so_far(client: Client, database: str) -> None:
    thread = new_thread()
    client.say(thread)
    with psycopg.connect(database) as connection:
        connection.execute(
            """
            INSERT INTO events (workspace, thread, id, state, kind, create_time, update_time)
            SELECT workspace, id, 2, 1, 2, now(), now() FROM threads
            """
        )
        for sequence, event, text in ((3, 2, "Look"), (4, 9, "not this"), (5, 2, "ing …")):
            connection.execute(
                "INSERT INTO event_chunks SELECT workspace, id, %s, %s, %s FROM threads",
                (sequence, event, text),
            )
    streaming = client.get_event(f"{thread}/events/2")
    assert streaming.state == pb.Event.STATE_STREAMING
    assert streaming.agent_message.content == "Looking …"
    assert client.list_events(thread, filter="state = STREAMING").events[0] == streaming


def test_a_repeated_message_is_said_once(shared_client: Client) -> None:
    thread, request_id = new_thread(), str(uuid.uuid4())
    first = shared_client.say(thread, "once", request_id=request_id)
    assert shared_client.say(thread, "once", request_id=request_id) == first
    with pytest.raises(grpc.RpcError) as error:
        shared_client.say(thread, "twice", request_id=request_id)
    assert reason(error.value) == "REQUEST_ID_REUSED"
    assert list(shared_client.list_events(thread).events) == [first]


def test_fifty_identical_messages_at_once_are_said_once(shared_client: Client) -> None:
    thread, request_id = new_thread(), str(uuid.uuid4())
    with ThreadPoolExecutor(50) as pool:
        answers = list(
            pool.map(lambda _: shared_client.say(thread, "now", request_id=request_id), range(50))
        )
    assert all(answer == answers[0] for answer in answers)
    assert list(shared_client.list_events(thread).events) == [answers[0]]


def test_the_change_record_leaves_out_what_stands_in_the_log(client: Client, database: str) -> None:
    said = client.create_event(new_thread(), with_items({"text": "secret"}, inline(b"secret")))
    with psycopg.connect(database) as connection:
        [(method, resource, before, after)] = connection.execute(
            "SELECT method, resource, before, after FROM changes"
        ).fetchall()
    assert method == "/kintsugi.v1.EventService/CreateEvent"
    assert resource == said.name
    assert before is None
    assert set(after) == {
        *("workspace", "thread", "id", "completed", "state", "kind", "exception"),
        *("create_time", "update_time"),
    }
    assert base64.b64encode(b"secret").decode() not in str(after)


def test_sequences_have_no_gaps_whoever_appends(client: Client) -> None:
    run = new_run()
    thread = f"{run}/agents/kai"
    for _ in range(5):
        client.create(new_exception(run=run))
        client.say(thread)
    ids = [int(event.name.rpartition("/")[2]) for event in client.list_events(thread).events]
    assert ids == list(range(10, 0, -1))
