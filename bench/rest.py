"""The same read by key, over REST through Envoy and straight over gRPC.

Both end in the same server process; Envoy runs on the load's core.
"""

from functools import partial

from bench.load import Request, rate
from bench.measure import Row, interleaved, row
from bench.read import UNIT, read_call
from bench.stage import Stage


def run(stage: Stage) -> list[Row]:
    direct = read_call(stage)
    through = Request(stage.edge, f"/api/v1/{stage.exception}", stage.token)
    through.send()
    figures = interleaved({"rest": partial(rate, through), "grpc": partial(rate, direct)})
    return [row("REST through Envoy / direct gRPC", UNIT, figures["rest"], figures["grpc"], 0.9)]
