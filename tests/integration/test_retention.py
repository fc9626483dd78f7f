"""What is older than it is kept goes, and nothing else: not what is young, in use or unfinished."""

import uuid
from collections.abc import Callable, Iterator
from typing import Any

import grpc
import psycopg
import pytest
from kintsugi.v1 import event_pb2 as pb
from kintsugi.v1 import guide_entry_pb2
from kintsugi.v1 import guide_entry_service_pb2 as guides

from server.domain.names import parse_thread
from server.operations.event_writer import Generations
from server.operations.retention import Kept, prune
from server.operations.sealing import seal_all
from server.store.connection import Database
from server.store.notifier import Notifier
from server.store.store import Store
from tests.integration.client import WORKSPACE, Client, new_exception, new_thread, reason
from tests.integration.conftest import StartServer
from tests.integration.following import reading, stream, watch
from tests.integration.waiting import until

Pruned = Callable[[], dict[str, int]]

DAY = Kept(events=1, revisions=1, changes=1)


@pytest.fixture
def connections(database: str) -> Iterator[Database]:
    opened = Database(database, connections=2)
    yield opened
    opened.close()


@pytest.fixture
def pruned(database: str, connections: Database) -> Iterator[Pruned]:
    """Prunes when the audit has all changes: without that, none may go."""
    notifier = Notifier(database)
    store = Store(connections, notifier)

    def prune_sealed() -> dict[str, int]:
        seal_all(store)
        return prune(connections, DAY)

    yield prune_sealed
    notifier.close()


@pytest.fixture
def sql(database: str) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(database, autocommit=True) as connection:
        yield connection


def count(sql: psycopg.Connection[Any], table: str) -> int:
    return int(sql.execute(f"SELECT count(*) FROM {table}").fetchall()[0][0])  # type: ignore[arg-type]


def age(sql: psycopg.Connection[Any], table: str, column: str, hours: int = 25) -> None:
    """Lets some hours pass for all rows of a table."""
    statement = f"UPDATE {table} SET {column} = {column} - interval '{hours} hours'"
    sql.execute(statement)  # type: ignore[arg-type]


def test_old_changes_go_and_young_ones_stay(
    client: Client, pruned: Pruned, sql: psycopg.Connection[Any]
) -> None:
    client.raise_one()
    age(sql, "changes", "create_time")
    client.raise_one()
    assert pruned()["changes"] == 1
    assert count(sql, "changes") == 1
    assert pruned()["changes"] == 0


def test_a_change_is_kept_for_24_hours_at_least(
    client: Client, pruned: Pruned, sql: psycopg.Connection[Any]
) -> None:
    client.raise_one()
    age(sql, "changes", "create_time", hours=23)
    assert pruned()["changes"] == 0


def test_what_is_kept_for_ever_stays(
    client: Client, connections: Database, sql: psycopg.Connection[Any]
) -> None:
    client.say(new_thread())
    age(sql, "changes", "create_time", hours=100_000)
    age(sql, "events", "update_time", hours=100_000)
    assert prune(connections, Kept(0, 0, 0)) == {"steps": 0}
    assert (count(sql, "changes"), count(sql, "events")) == (1, 1)


def test_changes_go_in_their_order_only(
    client: Client, pruned: Pruned, sql: psycopg.Connection[Any]
) -> None:
    """Behind one that stays, nothing goes: a cursor between them would skip it unnoticed."""
    for _ in range(3):
        client.raise_one()
    age(sql, "changes", "create_time")
    sql.execute(
        "UPDATE changes SET create_time = now() WHERE id = (SELECT min(id) + 1 FROM changes)"
    )
    assert pruned()["changes"] == 1
    assert count(sql, "changes") == 2


def test_changes_that_a_follower_cannot_see_yet_stay(
    client: Client, pruned: Pruned, database: str, sql: psycopg.Connection[Any]
) -> None:
    with psycopg.connect(database) as writer:
        writer.execute("SELECT pg_current_xact_id()")
        client.raise_one()
        age(sql, "changes", "create_time")
        assert pruned()["changes"] == 0
    assert pruned()["changes"] == 1


def test_a_watch_from_before_what_is_pruned_has_expired(
    client: Client, pruned: Pruned, sql: psycopg.Connection[Any]
) -> None:
    with reading(watch(client)) as watcher:
        client.raise_one()
        client.raise_one()
        watcher.wait(lambda messages: len(messages) == 2)
    first, second = (message.cursor for message in watcher.messages)
    age(sql, "changes", "create_time")
    last = client.raise_one()
    assert pruned()["changes"] == 2
    with pytest.raises(grpc.RpcError) as error:
        next(watch(client, after=first))
    assert reason(error.value) == "CURSOR_EXPIRED"
    with reading(watch(client, after=second)) as watcher:
        watcher.wait(lambda messages: messages)
    assert [message.exception for message in watcher.messages] == [last]


def test_a_request_id_is_known_as_long_as_its_change(
    client: Client, pruned: Pruned, sql: psycopg.Connection[Any]
) -> None:
    request_id, raised = str(uuid.uuid4()), new_exception()
    assert client.create(raised, request_id) == client.create(raised, request_id)
    age(sql, "changes", "create_time")
    pruned()
    assert client.create(raised, request_id).occurrence_count == 2


def test_old_events_go_and_their_cursors_expire(
    client: Client, pruned: Pruned, sql: psycopg.Connection[Any]
) -> None:
    thread, other = new_thread(), new_thread()
    client.say(thread, "old")
    client.say(other, "old too")
    with reading(stream(client, thread)) as reader:
        reader.wait(lambda messages: messages)
    age(sql, "events", "update_time")
    young = client.say(thread, "young")
    with reading(stream(client, thread)) as late:
        late.wait(lambda messages: len(messages) == 2)
    assert pruned()["events"] == 2
    assert list(client.list_events(thread).events) == [young]
    assert list(client.list_events(other).events) == []
    with reading(stream(client, thread)) as fresh:
        fresh.wait(lambda messages: messages)
    assert [message.event for message in fresh.messages] == [young]
    later = client.say(thread, "later")
    with reading(stream(client, thread, after=late.messages[-1].cursor)) as resumed:
        resumed.wait(lambda messages: messages)
    assert [message.event for message in resumed.messages] == [later]
    client.say(other, "again")
    age(sql, "events", "update_time")
    pruned()
    with pytest.raises(grpc.RpcError) as error:
        next(stream(client, thread, after=late.messages[-1].cursor))
    assert reason(error.value) == "CURSOR_EXPIRED"


def test_an_event_that_is_being_generated_stays_and_becomes_whole(
    client: Client,
    connections: Database,
    pruned: Pruned,
    database: str,
    sql: psycopg.Connection[Any],
) -> None:
    thread = new_thread()
    notifier = Notifier(database)
    generations = Generations(Store(connections, notifier))
    generation = generations.begin(parse_thread(thread), pb.Event(agent_message=pb.AgentMessage()))
    generation.append("half ")
    client.say(thread, "said meanwhile")
    until(lambda: count(sql, "event_chunks"))
    age(sql, "events", "update_time")
    assert pruned()["events"] == 1
    [left] = client.list_events(thread).events
    assert left.state == pb.Event.STATE_STREAMING
    generation.append("and half")
    generation.complete()
    assert client.get_event(left.name).agent_message.content == "half and half"
    generations.close()
    notifier.close()


def test_more_than_a_batch_goes_at_once(
    client: Client, pruned: Pruned, sql: psycopg.Connection[Any]
) -> None:
    client.say(new_thread())
    sql.execute(
        """
        INSERT INTO changes (workspace, principal, method, resource, after)
        SELECT workspace, principal, method, resource, after FROM changes, generate_series(1, 2500)
        """
    )
    sql.execute(
        """
        INSERT INTO threads (workspace, name, last)
        SELECT workspace, name || n, 1 FROM threads, generate_series(1, 250) n
        """
    )
    sql.execute("UPDATE threads SET last = 2501 WHERE id = (SELECT min(id) FROM threads)")
    sql.execute(
        """
        INSERT INTO events (workspace, thread, id, completed, state, kind, create_time, update_time)
        SELECT t.workspace, t.id, n, n, 2, 1, now(), now()
        FROM threads t, generate_series(1, 2501) n WHERE n <= t.last
        ON CONFLICT DO NOTHING
        """
    )
    age(sql, "changes", "create_time")
    age(sql, "events", "update_time")
    assert pruned() == {"events": 2751, "revisions": 0, "changes": 2501, "steps": 0}
    assert (count(sql, "events"), count(sql, "changes")) == (0, 0)


def test_of_guide_entries_the_newest_version_and_the_one_in_use_stay(
    client: Client, pruned: Pruned, sql: psycopg.Connection[Any]
) -> None:
    stub = client.guide_entries
    created = stub.CreateGuideEntry(
        guides.CreateGuideEntryRequest(
            parent=f"{WORKSPACE}/automations/billing",
            guide_entry=guide_entry_pb2.GuideEntry(title="One"),
        )
    )
    stub.ApproveGuideEntry(guides.ApproveGuideEntryRequest(name=created.name))
    for title in ("Two", "Three"):
        request = guides.UpdateGuideEntryRequest(
            guide_entry=guide_entry_pb2.GuideEntry(name=created.name, title=title)
        )
        request.update_mask.paths.append("title")
        stub.UpdateGuideEntry(request)
    versions = "SELECT major, minor FROM guide_entry_revisions ORDER BY 1, 2"
    assert sql.execute(versions).fetchall() == [(0, 1), (1, 0), (1, 1), (1, 2)]
    assert pruned()["revisions"] == 0
    age(sql, "guide_entry_revisions", "update_time")
    assert pruned()["revisions"] == 2
    assert sql.execute(versions).fetchall() == [(1, 0), (1, 2)]


def test_the_steps_of_final_sessions_go_and_those_of_others_stay(
    client: Client, connections: Database, sql: psycopg.Connection[Any]
) -> None:
    for id, state, due in (("open", 4, "now()"), ("ending", 7, "now()"), ("final", 5, "NULL")):
        sql.execute(
            "INSERT INTO agent_sessions (workspace, id, agent, creator, start, state, due_time)"  # type: ignore[arg-type]
            f" SELECT uid, '{id}', 'agents/a', 'users/a', 1, {state}, {due} FROM workspaces"
        )
        sql.execute(
            "INSERT INTO session_steps (workspace, session, key, result)"
            " SELECT uid, %s, n::text, '{}' FROM workspaces, generate_series(1, 1500) AS n",
            [id],
        )
    assert prune(connections, Kept(0, 0, 0)) == {"steps": 1500}
    left = sql.execute("SELECT session, count(*) FROM session_steps GROUP BY session ORDER BY 1")
    assert left.fetchall() == [("ending", 1500), ("open", 1500)]


def test_one_process_at_a_time_prunes(
    client: Client, pruned: Pruned, database: str, sql: psycopg.Connection[Any]
) -> None:
    client.raise_one()
    age(sql, "changes", "create_time")
    with psycopg.connect(database) as other:
        other.execute(f"SELECT pg_advisory_xact_lock({0x7072756E65})")
        assert pruned()["changes"] == 0
    assert pruned()["changes"] == 1


def test_a_server_prunes_by_itself_what_its_settings_say(
    start_server: StartServer, sql: psycopg.Connection[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("server.operations.retention._PRUNE_SECONDS", 0.2)
    client = start_server(keep_changes_days=1)
    client.say(new_thread())
    age(sql, "changes", "create_time")
    age(sql, "events", "update_time")
    until(lambda: count(sql, "changes") == 0)
    assert count(sql, "events") == 1
