"""Pages of 50 exceptions, against a bare loop that fetches, converts and serialises the same rows.

The loop has the server's core to itself while it runs, and the statement of the server.
"""

import time
from datetime import UTC
from functools import partial
from typing import Any

import psycopg
from kintsugi.v1 import exception_pb2 as pb
from kintsugi.v1 import exception_service_pb2 as service

from bench import cores
from bench.load import rate
from bench.measure import SECONDS, Row, interleaved, row
from bench.stage import WORKSPACE, Stage
from server.resources.exception import EXCEPTION
from server.store.statements import Choice, Statements

UNIT = "pages/s"
SIZE = 50


def run(stage: Stage) -> list[Row]:
    first = service.ListExceptionsRequest(parent=WORKSPACE)
    first_call = stage.call("ListExceptions", first.SerializeToString())
    page = service.ListExceptionsResponse.FromString(first_call.send())
    following = service.ListExceptionsRequest(parent=WORKSPACE, page_token=page.next_page_token)
    next_call = stage.call("ListExceptions", following.SerializeToString())
    expected = service.ListExceptionsResponse.FromString(next_call.send())
    figures = interleaved(
        {
            "next": partial(rate, next_call),
            "first": partial(rate, first_call),
            "bare": partial(_bare_rate, stage, page.exceptions[-1], list(expected.exceptions)),
        }
    )
    return [
        row("page of 50 / bare loop", UNIT, figures["next"], figures["bare"], 0.7),
        row("first page of 50, counted / bare loop", UNIT, figures["first"], figures["bare"]),
    ]


def _bare_rate(stage: Stage, after: pb.Exception, expected: list[pb.Exception]) -> float:
    connected = psycopg.connect(stage.database_url, autocommit=True)
    with cores.running_on(stage.cores), connected as connection:
        text, bounds = _statement(connection, after)
        page = service.ListExceptionsResponse.FromString(_page(connection, text, bounds))
        if list(page.exceptions) != expected:
            raise RuntimeError("the loop reads other rows than the server")
        count, end = 0, time.perf_counter() + SECONDS
        while time.perf_counter() < end:
            _page(connection, text, bounds)
            count += 1
    return count / SECONDS


def _statement(connection: psycopg.Connection[Any], after: pb.Exception) -> tuple[bytes, Any]:
    """The server's own statement for the rows behind `after`."""
    resource = EXCEPTION
    statements = Statements(
        resource.table,
        resource.columns,
        scope=resource.scope,
        workspace=resource.workspace_column,
    )
    query = statements.next_page(Choice(None, resource.order))
    named = "SELECT uid FROM workspaces WHERE organization = 'local' AND id = 'default'"
    [workspace] = connection.execute(named).fetchone() or (None,)
    bounds = {
        "scope_0": workspace,
        "after_0": after.create_time.ToDatetime(UTC),
        "after_1": after.name.rpartition("/")[2],
        "limit": SIZE,
        "skip": 0,
    }
    return query.text, query.parameters(bounds)


def _page(connection: psycopg.Connection[Any], text: bytes, bounds: Any) -> bytes:
    rows = psycopg.RawCursor(connection).execute(text, bounds).fetchall()
    response = service.ListExceptionsResponse()
    for found in rows:
        EXCEPTION.read(response.exceptions.add, WORKSPACE, found)
    return response.SerializeToString()
