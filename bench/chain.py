"""What the interceptors cost a call: time of the server's processor, not of the clock.

So it hardly matters what else the machine does. Needs h2load, which counts all that it sends.
"""

from functools import partial

from bench.load import H2LOAD, Request, answered
from bench.measure import Row, interleaved, row_of_time
from bench.read import empty_call
from bench.stage import Stage

GOAL = 80.0
"""Microseconds."""


def run(stage: Stage) -> list[Row]:
    if not H2LOAD:
        return []
    calls = {"chain": empty_call(stage, stage.server), "bare": empty_call(stage, stage.bare)}
    costs = interleaved({name: partial(_cost, stage, call) for name, call in calls.items()})
    chain = [ours - bare for ours, bare in zip(costs["chain"], costs["bare"], strict=True)]
    return [
        row_of_time("interceptors, of a call", "µs", chain, GOAL),
        row_of_time("empty RPC without them", "µs", costs["bare"]),
    ]


def _cost(stage: Stage, call: Request) -> float:
    """The microseconds of the server process that one call takes, of as many as it can answer."""
    before = stage.server_seconds()
    count = answered(call)
    return (stage.server_seconds() - before) / count * 1e6
