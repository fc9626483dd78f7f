"""Creates in batches of 1000, against COPY of the same rows into the same table, both durable.

Through gRPC, one batch after another; each row of a batch has its change record, count and event.
"""

import time
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

import grpc
import psycopg
from kintsugi.v1 import exception_pb2 as pb
from kintsugi.v1 import exception_service_pb2 as service
from kintsugi.v1.exception_service_pb2_grpc import ExceptionServiceStub
from kintsugi.v1.location_pb2 import Location
from psycopg import sql
from psycopg.types.json import Jsonb

from bench import cores
from bench.measure import SECONDS, Row, Subject, interleaved, row
from bench.stage import WORKSPACE, Stage
from server.domain.exception_identity import identity
from server.domain.ids import new_id
from server.resources.exception import EXCEPTION

SIZE = 1000
GOAL = 0.3
_COLUMNS = (
    *("workspace", "id", "automation", "run", "start_byte", "end_byte", "message"),
    *("execution_id", "stage", "identity", "state", "group", "assignee", "extra"),
)
_COPY = sql.SQL("COPY exceptions ({}) FROM STDIN").format(
    sql.SQL(", ").join(map(sql.Identifier, _COLUMNS))
)

T = TypeVar("T")


def run(stage: Stage) -> list[Row]:
    with (
        grpc.insecure_channel(stage.server) as channel,
        psycopg.connect(stage.database_url, autocommit=True) as connection,
    ):
        metadata = (("authorization", f"Bearer {stage.token}"),)
        stub = ExceptionServiceStub(channel)
        create = partial(_rate, _request, partial(stub.BatchCreateExceptions, metadata=metadata))
        copy = partial(_rate, partial(_rows, _workspace(connection)), partial(_copy, connection))
        subjects = {"batch": create, "copy": partial(_on, stage.cores, copy)}
        figures = interleaved(subjects)
    return [row("batch create / COPY", "rows/s", figures["batch"], figures["copy"], GOAL)]


def _rate(make: Callable[[], T], write: Callable[[T], object]) -> float:
    """Rows a second; making a batch isn't timed."""
    count, taken = 0, 0.0
    while taken < SECONDS:
        made = make()
        begun = time.perf_counter()
        write(made)
        taken += time.perf_counter() - begun
        count += SIZE
    return count / taken


def _on(subject: set[int], measure: Subject) -> float:
    """COPY's own loop has the core that the server has otherwise."""
    with cores.running_on(subject):
        return measure()


def _request() -> service.BatchCreateExceptionsRequest:
    request = service.BatchCreateExceptionsRequest(parent=WORKSPACE)
    for number in range(SIZE):
        request.requests.add(exception=_exception(number))
    return request


def _rows(workspace: str) -> list[list[Any]]:
    return [_row(workspace, _exception(number)) for number in range(SIZE)]


def _row(workspace: str, exception: pb.Exception) -> list[Any]:
    written = EXCEPTION.write(exception) | {
        "workspace": workspace,
        "id": new_id(),
        "identity": identity(exception),
        "state": pb.EXCEPTION_STATE_PENDING,
    }
    return [Jsonb(written[name]) if name == "extra" else written[name] for name in _COLUMNS]


def _copy(connection: psycopg.Connection[Any], rows: list[list[Any]]) -> None:
    with connection.cursor().copy(_COPY) as copy:
        for each in rows:
            copy.write_row(each)


def _workspace(connection: psycopg.Connection[Any]) -> str:
    named = "SELECT uid FROM workspaces WHERE organization = 'local' AND id = 'default'"
    [(workspace,)] = connection.execute(named).fetchall()
    return str(workspace)


def _exception(number: int) -> pb.Exception:
    return pb.Exception(
        run=f"{WORKSPACE}/automations/invoices/runs/batch-{number // 100}",
        message=f"KeyError: 'total' in row {number} of invoices.csv",
        location=Location(start_byte=1200, end_byte=1290),
        execution_id=new_id(),  # without it they would be occurrences of one exception
        extra={"exit_code": "1", "host": f"worker-{number % 8}", "command": "sum.py"},
    )
