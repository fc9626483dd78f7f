"""What several calls raise at the same time is written together; none of them can tell."""

import time
import uuid
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import grpc
import psycopg
import pytest
from google.protobuf.field_mask_pb2 import FieldMask
from kintsugi.v1 import exception_pb2 as pb
from kintsugi.v1 import exception_service_pb2 as service
from kintsugi.v1.member_pb2 import ROLE_ADMIN

from tests.integration.client import WORKSPACE, Client, new_exception, new_run
from tests.integration.test_access import make_token

CALLS = 12


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(2 * CALLS) as made:
        yield made


@contextmanager
def held_up(database: str, table: str = "exceptions") -> Iterator[None]:
    """While nothing can be written: what comes, waits in groups."""
    with psycopg.connect(database) as connection:
        connection.execute(f"LOCK TABLE {table} IN SHARE MODE")
        yield
        time.sleep(0.2)


def at_once(
    pool: ThreadPoolExecutor, database: str, calls: list[tuple[Client, pb.Exception, str]]
) -> list[pb.Exception]:
    with held_up(database):
        asked = [pool.submit(client.create, *given) for client, *given in calls]
    return [each.result() for each in asked]


def recorded(database: str, columns: str) -> list[Any]:
    with psycopg.connect(database) as connection:
        query = f"SELECT {columns} FROM changes WHERE method LIKE '%/CreateException'"
        return connection.execute(query).fetchall()


def test_each_call_has_its_own_answer_change_and_event(
    client: Client, database: str, pool: ThreadPoolExecutor
) -> None:
    made = make_token(client, ROLE_ADMIN)
    clients = [client, Client(client.port, made.token)]
    calls = [
        (clients[n % 2], new_exception(message=f"message {n}"), str(uuid.uuid4()) if n % 3 else "")
        for n in range(CALLS)
    ]
    answers = at_once(pool, database, calls)
    for (_, asked, _), answer in zip(calls, answers, strict=True):
        assert (answer.run, answer.message) == (asked.run, asked.message)
        assert client.get(answer.name) == answer
        [event] = client.list_events(f"{asked.run}/agents/kai").events
        assert (event.exception, asked.message in str(event)) == (answer.name, True)
    changes = recorded(database, "resource, coalesce(request_id, ''), token")
    own = made.access_token.name.rpartition("/")[2]
    assert {(resource, id, token == own) for resource, id, token in changes} == {
        (answer.name, id, asker is clients[1])
        for (asker, _, id), answer in zip(calls, answers, strict=True)
    }
    assert len(set(recorded(database, "xid::text"))) < CALLS


def test_a_repetition_answers_its_own_exception(
    client: Client, database: str, pool: ThreadPoolExecutor
) -> None:
    calls = [(client, new_exception(), str(uuid.uuid4())) for _ in range(CALLS)]
    calls[1:1] = [(client, new_exception(), "")] * 3
    answers = at_once(pool, database, calls)
    for (_, asked, request_id), answer in zip(calls, answers, strict=True):
        if request_id:
            assert client.create(asked, request_id) == answer


def test_one_request_that_comes_twice_fails_nobody(
    client: Client, database: str, pool: ThreadPoolExecutor
) -> None:
    calls = [(client, new_exception(), str(uuid.uuid4())) for _ in range(CALLS)]
    first, second, *others = at_once(pool, database, [calls[0], *calls])
    assert first == second
    assert len({first.name, *(other.name for other in others)}) == CALLS
    assert len(recorded(database, "id")) == CALLS


def test_the_same_exception_raised_by_all_is_counted(
    client: Client, database: str, pool: ThreadPoolExecutor
) -> None:
    run = new_run()
    raised = new_exception(run=run)
    answers = at_once(pool, database, [(client, raised, "")] * CALLS)
    assert len({answer.name for answer in answers}) == 1
    assert sorted(answer.occurrence_count for answer in answers) == [*range(1, CALLS + 1)]
    _, *again = reversed(client.list_events(f"{run}/agents/kai").events)
    for times, event in enumerate(again, start=2):
        assert f"Raised again, {times} times by now." in str(event)
    assert len(again) == CALLS - 1
    assert client.list(page_size=1).total_size == 1


def test_what_a_group_and_an_output_say_is_said(
    client: Client, database: str, pool: ThreadPoolExecutor
) -> None:
    group = f"{WORKSPACE}/exceptionGroups/missing_values"
    client.exceptions.UpdateExceptionGroup(
        service.UpdateExceptionGroupRequest(
            exception_group={"name": group, "default_assignee": "users/bob"},
            update_mask=FieldMask(paths=["default_assignee"]),
        )
    )
    calls = [
        (client, new_exception(group="missing_values", extra={"output": f"line {n}"}), "")
        for n in range(CALLS)
    ]
    for n, answer in enumerate(at_once(pool, database, calls)):
        assert answer.assignee == "users/bob"
        output, raised = client.list_events(f"{answer.run}/agents/kai").events
        assert "Assigned to users/bob" in str(raised)
        assert output.tool_call_result.result == f"line {n}"


@pytest.mark.parametrize(
    "hold",
    [
        "SELECT FROM exceptions WHERE id = %s FOR UPDATE",
        "UPDATE exceptions SET assignee = 'users/bob' WHERE id = %s",
        "UPDATE exceptions SET state = 3 WHERE id = %s",
    ],
)
def test_whoever_holds_an_exception_holds_up_only_its_twins(
    client: Client, database: str, pool: ThreadPoolExecutor, hold: str
) -> None:
    twin = new_exception()
    id = client.create(twin).name.rpartition("/")[2]
    with psycopg.connect(database) as holder:
        holder.execute(hold, (id,))
        stuck = holds_up_only(client, pool, twin)
        holder.rollback()
    assert {each.result(10).occurrence_count for each in stuck} == {2, 3, 4}


def test_whoever_holds_a_thread_holds_up_only_what_is_said_there(
    client: Client, database: str, pool: ThreadPoolExecutor
) -> None:
    run = client.create(new_exception()).run
    with psycopg.connect(database) as holder:
        holder.execute("SELECT FROM threads FOR UPDATE")
        stuck = holds_up_only(client, pool, new_exception(run=run, message="another"))
    assert {each.result(10).occurrence_count for each in stuck} == {1, 2, 3}


def test_whoever_raises_an_exception_holds_up_only_its_twins(
    client: Client, database: str, pool: ThreadPoolExecutor
) -> None:
    twin = new_exception()
    id = client.create(twin).name.rpartition("/")[2]
    with psycopg.connect(database) as holder:
        holder.execute("CREATE TEMP TABLE twin AS SELECT * FROM exceptions")
        holder.execute("DELETE FROM exceptions")
        holder.commit()
        holder.execute("INSERT INTO exceptions SELECT * FROM twin")
        stuck = holds_up_only(client, pool, twin)
        holder.commit()
    answers = [each.result(10) for each in stuck]
    assert {each.name.rpartition("/")[2] for each in answers} == {id}
    assert {each.occurrence_count for each in answers} == {2, 3, 4}


def holds_up_only(
    client: Client, pool: ThreadPoolExecutor, held: pb.Exception
) -> list[Future[pb.Exception]]:
    """The three calls that wait; the others, which began with them, are done."""
    stuck = [pool.submit(client.create, held) for _ in range(3)]
    others = [pool.submit(client.raise_one) for _ in range(CALLS)]
    assert [each.result(10).occurrence_count for each in others] == [1] * CALLS
    assert not any(each.done() for each in stuck)
    return stuck


def test_an_impatient_caller_fails_nobody(
    client: Client, database: str, pool: ThreadPoolExecutor
) -> None:
    request = service.CreateExceptionRequest(parent=WORKSPACE, exception=new_exception())
    with held_up(database):
        others = [pool.submit(client.raise_one) for _ in range(CALLS // 2)]
        with pytest.raises(grpc.RpcError) as error:
            client.exceptions.CreateException(request, timeout=0.3)
        others += [pool.submit(client.raise_one) for _ in range(CALLS // 2)]
    assert error.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    assert len({each.result(10).name for each in others}) == CALLS


def test_a_database_that_breaks_off_loses_and_doubles_nothing(
    client: Client, database: str, pool: ThreadPoolExecutor
) -> None:
    """Whoever is told that it's unavailable repeats the request, as clients do."""

    def insist(_: int) -> tuple[str, str]:
        exception, request_id = new_exception(), str(uuid.uuid4())
        while True:
            try:
                return exception.run, client.create(exception, request_id).name
            except grpc.RpcError as error:
                if error.code() is not grpc.StatusCode.UNAVAILABLE:
                    raise

    with psycopg.connect(database, autocommit=True) as killer:
        asked = [pool.submit(insist, n) for n in range(400)]
        while not all(each.done() for each in asked):
            killer.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE pid <> pg_backend_pid() AND datname = current_database()"
            )
            time.sleep(0.05)
        stored = killer.execute("SELECT run, id FROM exceptions").fetchall()
    answers = [each.result() for each in asked]
    answered = {(run.rpartition("/")[2], name.rpartition("/")[2]) for run, name in answers}
    assert len(answered) == len(asked)
    assert answered == set(stored)
    assert len(recorded(database, "id")) == len(asked)
    assert client.list(page_size=1).total_size == len(asked)
