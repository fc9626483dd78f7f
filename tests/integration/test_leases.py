"""Who may work on which session: taken in turn, by one at a time, and fenced off afterwards."""

import uuid
from collections.abc import Iterator

import psycopg
import pytest

from server.domain.names import AgentSessionName
from server.store import leases
from server.store.connection import Database
from server.store.leases import Due, Lease, LeaseLost

SECONDS = 300


@pytest.fixture
def connections(database: str) -> Iterator[Database]:
    pool = Database(database, connections=2)
    yield pool
    pool.close()


def _workspace(url: str) -> str:
    with psycopg.connect(url, autocommit=True) as connection:
        uid = str(uuid.uuid4())
        connection.execute(
            "INSERT INTO workspaces (uid, organization, id, title, features)"
            " VALUES (%s, 'local', %s, '', '{}')",
            [uid, uid],
        )
        return uid


def _due(url: str, workspace: str, count: int) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            "INSERT INTO agent_sessions (workspace, id, agent, creator, start, due_time)"
            " SELECT %s, 's' || n, 'agents/a', 'users/a', 1,"
            " clock_timestamp() - (1000 - n) * interval '1 ms' FROM generate_series(1, %s) AS n",
            [workspace, count],
        )


def _execute(url: str, statement: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(statement)


def _take(connections: Database, most: int, **options) -> list[Lease]:
    values = {"share": most, "running": {}} | options
    return leases.take(connections, SECONDS, most, **values)


def test_a_busy_workspace_starves_no_other(database, connections):
    busy, quiet = _workspace(database), _workspace(database)
    _due(database, busy, 50)
    _due(database, quiet, 1)
    taken = [lease.workspace for lease in _take(connections, 4)]
    assert sorted(taken) == sorted([busy, busy, busy, quiet])


def test_a_long_backlog_starves_no_other(database, connections):
    busy, quiet = _workspace(database), _workspace(database)
    _due(database, busy, 900)
    _due(database, quiet, 1)
    _execute(database, "UPDATE agent_sessions SET due_time = now() WHERE id = 's1'")
    taken = [lease.workspace for lease in _take(connections, 4)]
    assert sorted(taken) == sorted([busy, busy, busy, quiet])


def test_who_has_fewest_running_comes_first(database, connections):
    busy, quiet = _workspace(database), _workspace(database)
    _due(database, busy, 5)
    _due(database, quiet, 5)
    taken = _take(connections, 3, running={busy: 3})
    assert {lease.workspace for lease in taken} == {quiet}


def test_a_workspace_gets_its_share_and_no_more(database, connections):
    busy = _workspace(database)
    _due(database, busy, 5)
    assert len(_take(connections, 4, share=3, running={busy: 1})) == 2


def test_the_longest_due_come_first(database, connections):
    _due(database, _workspace(database), 5)
    assert sorted(lease.name.id for lease in _take(connections, 2)) == ["s1", "s2"]


def test_what_is_not_due_yet_is_not_taken(database, connections):
    _due(database, _workspace(database), 1)
    _execute(database, "UPDATE agent_sessions SET due_time = now() + interval '1 hour'")
    assert _take(connections, 4) == []


def test_only_one_has_a_session_until_its_lease_is_over(database, connections):
    _due(database, _workspace(database), 1)
    [first] = _take(connections, 4)
    assert _take(connections, 4) == []
    _execute(database, "UPDATE agent_sessions SET lease_until = now() - interval '1 s'")
    [second] = _take(connections, 4)
    assert second.name == first.name
    assert second.token != first.token


def test_who_was_taken_over_is_fenced_off(database, connections):
    _due(database, _workspace(database), 1)
    [first] = _take(connections, 4)
    _execute(database, "UPDATE agent_sessions SET lease_until = now() - interval '1 s'")
    [second] = _take(connections, 4)
    with connections.transaction() as transaction, pytest.raises(LeaseLost):
        leases.fence(transaction, first)
    with connections.transaction() as transaction:
        assert leases.fence(transaction, second).attempts == 2
    assert set(leases.renew(connections, SECONDS, [first, second])) == {second.token}


def test_a_lease_is_renewed_by_its_own_token_only(database, connections):
    _due(database, _workspace(database), 2)
    one, other = _take(connections, 4)
    swapped = one._replace(token=other.token)
    assert leases.renew(connections, SECONDS, [swapped]) == {}
    assert leases.renew(connections, SECONDS, [one, other]) == {one.token: 1, other.token: 1}


def test_what_was_scheduled_is_free_and_due_then(database, connections):
    _due(database, _workspace(database), 1)
    [lease] = _take(connections, 4)
    with connections.transaction() as transaction:
        leases.fence(transaction, lease)
        leases.schedule(transaction, lease, Due(0))
    [again] = _take(connections, 4)
    with connections.transaction() as transaction:
        assert leases.fence(transaction, again).attempts == 1
        leases.schedule(transaction, again, Due(None))
    assert _take(connections, 4) == []


def test_what_failed_is_put_back_for_later_and_counted(database, connections):
    _due(database, _workspace(database), 1)
    [lease] = _take(connections, 4)
    leases.put_back(connections, lease, 0, counts=True)
    [again] = _take(connections, 4)
    with connections.transaction() as transaction:
        assert leases.fence(transaction, again).attempts == 2
    leases.put_back(connections, again, 60, counts=False)
    assert _take(connections, 4) == []


def test_what_waits_for_workers_is_counted(database, connections):
    _due(database, _workspace(database), 3)
    _due(database, _workspace(database), 2)
    _take(connections, 1)
    assert leases.queued(connections) == 4


def test_names_are_those_of_the_workspace(database, connections):
    workspace = _workspace(database)
    _due(database, workspace, 1)
    [lease] = _take(connections, 1)
    assert lease.name == AgentSessionName("local", workspace, "s1")
    assert lease.agent == "agents/a"


def test_all_open_sessions_are_looked_at_by_and_by(database, connections):
    workspace = _workspace(database)
    _due(database, workspace, 4500)
    _execute(
        database,
        "UPDATE agent_sessions SET exception = id, state = 3,"
        " due_time = now() + interval '1 hour', expire_time = now() + interval '1 hour'",
    )
    _withdrawn(database, workspace, "s4499")
    woken, place = [], leases.BEGINNING
    for _ in range(6):
        count, place = leases.wake_withdrawn(connections, place)
        woken.append(count)
    assert sorted(woken) == [0, 0, 0, 0, 0, 1]
    assert leases.queued(connections) == 1


def _withdrawn(url: str, workspace: str, id: str) -> None:
    """An exception that is resolved."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            "INSERT INTO exceptions (workspace, id, automation, run, start_byte, end_byte, message,"
            ' execution_id, stage, identity, state, "group", assignee, resolver,'
            " resolution_guide_entry, resolution_note, extra)"
            " VALUES (%s, %s, 'a', 'r', 0, 1, 'm', 'x', 1, '', 2, 'g', '', '', '', '', '{}')",
            [workspace, id],
        )
