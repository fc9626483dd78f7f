"""Watching the exceptions of a workspace: every change, as the filter sees it, and none skipped."""

import json
import random
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import grpc
import psycopg
import pytest
from kintsugi.v1 import exception_pb2 as pb
from kintsugi.v1.exception_service_pb2 import WatchExceptionsResponse

from server.domain.names import WorkspaceName
from server.store.connection import Database
from server.store.store import Store
from server.streams import cursor
from server.streams.change_log import ChangeLog
from server.streams.log import Page
from tests.integration.client import WORKSPACE, Client, batch, new_exception, reason
from tests.integration.conftest import StartServer
from tests.integration.following import new_thread, reading, stream, watch

ADDED = WatchExceptionsResponse.CHANGE_ADDED
MODIFIED = WatchExceptionsResponse.CHANGE_MODIFIED
REMOVED = WatchExceptionsResponse.CHANGE_REMOVED


def changes(messages: list[Any]) -> list[tuple[int, str]]:
    return [(message.change, message.exception.name) for message in messages]


def test_a_watch_sees_what_happens_from_now_on(client: Client) -> None:
    client.raise_one()
    with reading(watch(client)) as watcher:
        raised = client.raise_one()
        assigned = client.update("assignee", name=raised.name, assignee="users/ada")
        resolved = client.resolve(raised.name)
        watcher.wait(lambda messages: len(messages) == 3)
    assert changes(watcher.messages) == [
        (ADDED, raised.name),
        (MODIFIED, raised.name),
        (MODIFIED, raised.name),
    ]
    assert [message.exception for message in watcher.messages] == [raised, assigned, resolved]


def test_an_occurrence_is_a_change(client: Client) -> None:
    raised = new_exception()
    with reading(watch(client)) as watcher:
        first = client.create(raised)
        second = client.create(raised)
        watcher.wait(lambda messages: len(messages) == 2)
    assert [message.change for message in watcher.messages] == [ADDED, MODIFIED]
    assert [message.exception for message in watcher.messages] == [first, second]


def test_what_stops_matching_is_removed_and_added_when_it_matches_again(client: Client) -> None:
    with reading(watch(client, filter="state = PENDING")) as watcher:
        other = client.raise_one()
        client.archive(other.name)
        client.unarchive(other.name)
        client.update("assignee", name=other.name, assignee="users/ada")
        watcher.wait(lambda messages: len(messages) == 4)
    assert [message.change for message in watcher.messages] == [ADDED, REMOVED, ADDED, MODIFIED]


def test_the_time_of_the_last_change_counts_as_it_was_before(client: Client) -> None:
    raised = client.raise_one()
    with reading(
        watch(client, filter=f'update_time = "{raised.update_time.ToJsonString()}"')
    ) as it:
        it.wait(lambda _: it.cursors)
        client.update("assignee", name=raised.name, assignee="users/ada")
        it.wait(lambda messages: messages)
    assert changes(it.messages) == [(REMOVED, raised.name)]


@pytest.mark.parametrize("field", ["update_time", "last_occurrence_time"])
def test_by_its_times_one_that_is_raised_again_is_neither_added_nor_gone(
    client: Client, field: str
) -> None:
    raised = new_exception()
    first = client.create(raised)
    time = getattr(first, field).ToJsonString()
    with (
        reading(watch(client, filter=f'{field} <= "{time}" OR state = RESOLVED')) as until,
        reading(watch(client, filter=f'{field} > "{time}"')) as since,
    ):
        until.wait(lambda _: until.cursors)
        since.wait(lambda _: since.cursors)
        client.create(raised)
        client.resolve(first.name)
        since.wait(lambda messages: len(messages) == 2)
        until.wait(lambda messages: messages)
    assert changes(since.messages) == [(MODIFIED, first.name)] * 2
    assert changes(until.messages) == [(ADDED, first.name)]


def test_what_never_matches_is_not_told(client: Client) -> None:
    with reading(watch(client, filter='assignee = "users/ada"')) as watcher:
        other = client.raise_one()
        client.resolve(other.name)
        mine = client.create(new_exception(assignee="users/ada"))
        watcher.wait(lambda messages: messages)
    assert changes(watcher.messages) == [(ADDED, mine.name)]


def test_a_watch_goes_on_from_a_cursor_and_even_from_its_first_one(client: Client) -> None:
    with reading(watch(client)) as watcher:
        watcher.wait(lambda _: watcher.cursors)
    raised = batch(client, *(new_exception() for _ in range(300)))
    with reading(watch(client, after=watcher.cursors[0])) as again:
        again.wait(lambda messages: len(messages) == 300)
    assert {name for _, name in changes(again.messages)} == {one.name for one in raised}
    with reading(watch(client, after=again.messages[99].cursor)) as rest:
        rest.wait(lambda messages: len(messages) == 200)
    assert rest.messages == again.messages[100:]


def test_a_change_that_is_committed_late_is_not_skipped(client: Client, database: str) -> None:
    early, late = client.raise_one(), client.raise_one()
    with psycopg.connect(database) as first, psycopg.connect(database) as second:
        with reading(watch(client)) as watcher:
            first.execute("SELECT pg_current_xact_id()")  # the lower one
            touch(second, late.name)
            second.commit()
            client.raise_one()
            touch(first, early.name)
            first.commit()
            watcher.wait(lambda messages: len(messages) == 3)
        names = [name for _, name in changes(watcher.messages)]
        assert names[:2] == [early.name, late.name]
        with reading(watch(client, after=watcher.messages[0].cursor)) as again:
            again.wait(lambda messages: len(messages) == 2)
        assert again.messages == watcher.messages[1:]


def test_a_lower_change_that_is_committed_late_is_not_skipped(
    client: Client, database: str
) -> None:
    early, late = client.raise_one(), client.raise_one()
    with psycopg.connect(database) as first, psycopg.connect(database) as second:
        with reading(watch(client)) as watcher:
            touch(first, early.name)  # the lower transaction, and the lower id
            touch(second, late.name)
            second.commit()
            client.raise_one()
            first.commit()
            watcher.wait(lambda messages: len(messages) == 3)
        assert [name for _, name in changes(watcher.messages)][:2] == [early.name, late.name]


def test_pages_of_large_exceptions_are_small_and_lose_nothing(
    client: Client, database: str
) -> None:
    with reading(watch(client)) as watcher:
        watcher.wait(lambda _: watcher.cursors)
    extra = {f"k{n}": random.randbytes(15_000).hex() for n in range(2)} | {"x": "x" * 60_000}
    raised = client.raise_one(extra=extra)
    names = [f"users/u{n}" for n in range(40)]
    for name in names:
        client.update("assignee", name=raised.name, assignee=name)
    with reading(watch(client, after=watcher.cursors[0])) as again:
        again.wait(lambda messages: len(messages) == 41)
    assert [each.exception.assignee for each in again.messages] == ["", *names]
    with closing(Database(database, connections=1)) as opened:
        sizes = [len(page.records) for page in pages(opened, watcher.cursors[0])]
    assert max(sizes) == 2
    assert sum(sizes) == 41


def test_changes_of_other_resources_are_read_over(client: Client, database: str) -> None:
    with reading(watch(client)) as watcher:
        watcher.wait(lambda _: watcher.cursors)
    first = client.raise_one()
    with psycopg.connect(database) as connection:
        connection.execute(
            "INSERT INTO changes (workspace, principal, method, resource, after)"
            " SELECT workspace, principal, method, 'an event', after"
            " FROM (SELECT * FROM changes LIMIT 1) AS one, generate_series(1, 10000)"
        )
    second = client.raise_one()
    with closing(Database(database, connections=1)) as opened:
        sizes = [len(page.records) for page in pages(opened, watcher.cursors[0])]
    assert sizes == [1, 0, 1]
    with reading(watch(client, after=watcher.cursors[0])) as again:
        again.wait(lambda messages: len(messages) == 2)
        third = client.raise_one()
        again.wait(lambda messages: len(messages) == 3)
    assert [name for _, name in changes(again.messages)] == [first.name, second.name, third.name]


def pages(database: Database, after: str) -> Iterator[Page[Any]]:
    """What a watch reads behind a cursor before it has caught up."""
    log = change_log(database)
    page = log.read(database, log.position(after))
    yield page
    while not page.is_last:
        page = log.read(database, page.end)
        yield page


def change_log(database: Database) -> ChangeLog:
    name = WorkspaceName.parse(WORKSPACE)
    return ChangeLog(Store(database, None).workspace_key(name), name)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "position", ["2147483648.1.1", "1.18446744073709551616.1", "1.1.9223372036854775808", "1.1"]
)
def test_a_forged_cursor_is_refused(client: Client, database: str, position: str) -> None:
    with closing(Database(database, connections=1)) as opened:
        name = change_log(opened).name
    with pytest.raises(grpc.RpcError) as error:
        next(watch(client, after=cursor.encode(name, position)))
    assert reason(error.value) == "CURSOR_INVALID"


def touch(connection: psycopg.Connection[Any], name: str) -> None:
    """A change, as a mutation writes it."""
    connection.execute(
        "INSERT INTO changes (workspace, principal, method, resource, before, after)"
        " SELECT workspace, 'users/local', 'test', %s, '{}', to_jsonb(exceptions) FROM exceptions"
        " WHERE id = %s",
        (name, name.rpartition("/")[2]),
    )


def test_another_database_transaction_that_stays_open_ends_no_watch(
    client: Client, database: str
) -> None:
    with psycopg.connect(database) as other, reading(watch(client)) as watcher:
        other.execute("SELECT pg_current_xact_id()")
        raised = client.raise_one()
        with reading(stream(client, new_thread())):
            pass
        assert watcher.messages == []
        other.rollback()
        watcher.wait(lambda messages: messages)
    assert changes(watcher.messages) == [(ADDED, raised.name)]


@pytest.mark.parametrize(
    ("change", "values"),
    [
        ("INSERT INTO pruned_changes SELECT uid, 1, '9000000000', 0 FROM workspaces", ()),
        ("UPDATE clusters SET epoch = 0", ()),
    ],
)
def test_a_cursor_of_changes_that_are_gone_has_expired(
    client: Client, database: str, change: str, values: tuple[Any, ...]
) -> None:
    with reading(watch(client)) as watcher:
        watcher.wait(lambda _: watcher.cursors)
    with psycopg.connect(database) as connection:
        connection.execute(change)  # type: ignore[arg-type]
    with pytest.raises(grpc.RpcError) as error:
        next(watch(client, after=watcher.cursors[0]))
    assert reason(error.value) == "CURSOR_EXPIRED"


def test_a_watch_that_missed_what_was_pruned_is_told_so(client: Client, database: str) -> None:
    with reading(watch(client)) as watcher:
        watcher.wait(lambda _: watcher.cursors)
        with psycopg.connect(database) as connection:
            connection.execute(
                "INSERT INTO pruned_changes SELECT uid, 1, '9000000000', 0 FROM workspaces"
            )
        client.raise_one()
        watcher.wait_ended()
    assert watcher.error is not None
    assert reason(watcher.error) == "CURSOR_EXPIRED"


def test_a_restored_database_begins_a_new_epoch_and_cursors_go_on(
    client: Client, database: str
) -> None:
    with reading(watch(client)) as watcher:
        first = client.raise_one()
        watcher.wait(lambda messages: messages)
    second = client.raise_one()
    with psycopg.connect(database) as connection:
        connection.execute("INSERT INTO clusters SELECT 2, 42, now()")
        connection.execute("ALTER TABLE changes ALTER COLUMN epoch SET DEFAULT 2")
    third = client.raise_one()
    with reading(watch(client, after=watcher.messages[0].cursor)) as again:
        again.wait(lambda messages: len(messages) == 2)
    assert first.name == watcher.messages[0].exception.name
    assert [name for _, name in changes(again.messages)] == [second.name, third.name]


def test_a_cursor_of_another_stream_is_refused(client: Client) -> None:
    thread = new_thread()
    client.say(thread)
    after = next(stream(client, thread)).cursor
    with pytest.raises(grpc.RpcError) as error:
        next(watch(client, after=after))
    assert reason(error.value) == "CURSOR_INVALID"


def test_a_quiet_watch_is_sent_cursors(start_server: StartServer) -> None:
    client = start_server(checkpoint_seconds=0.2)
    with reading(watch(client, filter="state = RESOLVED")) as watcher:
        watcher.wait(lambda _: len(watcher.cursors) >= 3)
        client.raise_one()
        watcher.wait(lambda _: len(set(watcher.cursors)) >= 2)
        assert watcher.messages == []


def test_a_change_is_the_exception_as_it_is_read(client: Client) -> None:
    extra = {"host": "worker-3", "note": json.dumps({"ä": "\u2028"})}
    with reading(watch(client)) as watcher:
        raised = client.create(
            new_exception(extra=extra, group=f"{WORKSPACE}/exceptionGroups/internal_error")
        )
        watcher.wait(lambda messages: messages)
    assert watcher.messages[0].exception == raised == client.get(raised.name)
    assert watcher.messages[0].exception.state == pb.EXCEPTION_STATE_PENDING
