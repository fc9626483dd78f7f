"""Reads of one exception by its name, against calls that do nothing in the same server.

How much of it is the database's is not taken apart here.
"""

from functools import partial

from kintsugi.v1 import exception_pb2 as pb
from kintsugi.v1 import exception_service_pb2 as service
from kintsugi.v1.workspace_service_pb2 import GetWorkspaceRequest

from bench import server
from bench.load import Request, rate
from bench.measure import Row, interleaved, row
from bench.stage import WORKSPACE, Stage

UNIT = "calls/s"


def run(stage: Stage) -> list[Row]:
    read = read_call(stage)
    empty, bare = empty_call(stage, stage.server), empty_call(stage, stage.bare)
    subjects = {"read": read, "empty": empty, "bare": bare}
    figures = interleaved({name: partial(rate, one) for name, one in subjects.items()})
    return [
        row("read by key / empty RPC", UNIT, figures["read"], figures["empty"], 0.5),
        row("empty RPC / without interceptors", UNIT, figures["empty"], figures["bare"]),
        row("read by key / without interceptors", UNIT, figures["read"], figures["bare"]),
    ]


def empty_call(stage: Stage, address: str) -> Request:
    """The method that does nothing."""
    message = GetWorkspaceRequest(name=WORKSPACE).SerializeToString()
    return Request(address, server.PATH, stage.token, message)


def read_call(stage: Stage) -> Request:
    """GetException of one exception, tried once."""
    message = service.GetExceptionRequest(name=stage.exception).SerializeToString()
    call = stage.call("GetException", message)
    answered = pb.Exception.FromString(call.send())
    if answered.name != stage.exception:
        raise RuntimeError(f"asked for {stage.exception}, got {answered.name}")
    return call
