"""Creates by 8 writers in one workspace, against bare inserts of the same row, both made durable.

First by the database alone: what a create sends, sent by psycopg. Then through gRPC.
"""

import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import cache, partial
from multiprocessing import get_context
from typing import Any

import grpc
import psycopg
from kintsugi.v1 import exception_pb2 as pb
from kintsugi.v1 import exception_service_pb2 as service
from kintsugi.v1.exception_service_pb2_grpc import ExceptionServiceStub
from kintsugi.v1.location_pb2 import Location
from psycopg.types.json import JsonbDumper
from sqlalchemy import bindparam, insert

from bench import cores
from bench.measure import SECONDS, Row, interleaved, row
from bench.stage import WORKSPACE, Stage
from server.domain.call import Call, entered
from server.domain.exception_identity import identity
from server.domain.ids import new_id
from server.domain.names import WorkspaceName
from server.operations.thread_messages import about_raising, thread_name
from server.resources.exception import EXCEPTION
from server.store.changes import change_parameters
from server.store.connection import Database
from server.store.events import one_parameters
from server.store.exceptions import RAISED, raise_and_tell_statement
from server.store.notifier import Notifier
from server.store.query import Query
from server.store.store import Store
from server.store.tables import exceptions

WRITERS = 8
UNIT = "creates/s"

_INSERT = Query(insert(exceptions).values({name: bindparam(name) for name in RAISED}))
_RAISE = raise_and_tell_statement(EXCEPTION.columns)

Write = Callable[[pb.Exception], object]


def run(stage: Stage) -> list[Row]:
    load_cores = cores.current()
    ways = {
        "create": (partial(_creating, stage.database_url), stage.cores),
        "rpc": (partial(_calling, stage.server, stage.token), load_cores),
        "insert": (partial(_inserting, stage.database_url), stage.cores),
    }
    with ProcessPoolExecutor(WRITERS, get_context("spawn")) as pool:
        subjects = {name: partial(_rate, pool, *way) for name, way in ways.items()}
        for measure in subjects.values():
            measure()  # starts the writers and connects them
        figures = interleaved(subjects)
    return [
        row("create, its SQL alone / bare insert", UNIT, figures["create"], figures["insert"], 0.5),
        row("create through gRPC / bare insert", UNIT, figures["rpc"], figures["insert"]),
    ]


def _rate(pool: ProcessPoolExecutor, way: Callable[[], Write], on: set[int]) -> float:
    start = time.monotonic() + 0.3
    counts = pool.map(partial(_count, way, on, start), range(WRITERS))
    return sum(counts) / SECONDS


def _count(way: Callable[[], Write], on: set[int], start: float, writer: int) -> int:
    """Writes until the end, each exception in the writer's own run; answers how many."""
    with cores.running_on(on):
        write, count = way(), 0
        time.sleep(max(0, start - time.monotonic()))
        while time.monotonic() < start + SECONDS:
            write(_exception(writer))
            count += 1
    return count


def _exception(writer: int) -> pb.Exception:
    return pb.Exception(
        run=f"{WORKSPACE}/automations/invoices/runs/writer-{writer}",
        message="KeyError: 'total' in row 17 of invoices.csv",
        location=Location(start_byte=1200, end_byte=1290),
        execution_id=new_id(),  # without it they would be occurrences of one exception
        extra={"exit_code": "1", "host": f"worker-{writer}", "command": "sum.py"},
    )


@cache
def _inserting(url: str) -> Write:
    """Inserts the row alone, in a transaction of its own."""
    connection: psycopg.Connection[Any] = psycopg.connect(url, autocommit=True)
    connection.adapters.register_dumper(dict, JsonbDumper)
    cursor = psycopg.RawCursor(connection)
    workspace = _workspace(Database(url, connections=1), url)

    def write(exception: pb.Exception) -> None:
        cursor.execute(_INSERT.text, _INSERT.parameters(_row(workspace, exception)))

    return write


@cache
def _creating(url: str) -> Write:
    """Sends what the server sends for a create, by the store, without what it does around it."""
    database = Database(url, connections=1)
    workspace = _workspace(database, url)
    call = Call("/kintsugi.v1.ExceptionService/CreateException", "users/local", None)
    request = service.CreateExceptionRequest()

    def write(exception: pb.Exception) -> None:
        with entered(call):
            recording = change_parameters(request, f"{WORKSPACE}/exceptions")
        [event] = about_raising(exception)
        telling = one_parameters(thread_name(exception.run), event)
        database.all(_RAISE, _row(workspace, exception) | recording | telling)

    return write


@cache
def _calling(address: str, token: str) -> Write:
    create = ExceptionServiceStub(grpc.insecure_channel(address)).CreateException
    metadata = (("authorization", f"Bearer {token}"),)

    def write(exception: pb.Exception) -> None:
        request = service.CreateExceptionRequest(parent=WORKSPACE, exception=exception)
        create(request, timeout=30, metadata=metadata)

    return write


def _workspace(database: Database, url: str) -> str:
    return Store(database, Notifier(url)).workspace_key(WorkspaceName.parse(WORKSPACE))


def _row(workspace: str, exception: pb.Exception) -> dict[str, Any]:
    pending = pb.Exception(state=pb.EXCEPTION_STATE_PENDING)
    pending.MergeFrom(exception)
    return EXCEPTION.write(pending) | {
        "workspace": workspace,
        "id": new_id(),
        "identity": identity(exception),
    }
