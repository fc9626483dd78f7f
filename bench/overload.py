"""Reads through Envoy, three times as many as can be served: how many are, and who is told so.

Needs h2load: nothing in Python sends so many. What is refused has to be refused as the API says.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from bench import load
from bench.load import Request
from bench.measure import ROUNDS, Row, row, row_of_time
from bench.read import UNIT
from bench.stage import Stage

TIMES = 3
GOAL = 0.8
HEALTH_MS = 1000.0
"""After which Envoy and the supervisor take a server for dead."""


def run(stage: Stage) -> list[Row]:
    if not load.H2LOAD:
        return []
    read = Request(stage.edge, f"/api/v1/{stage.exception}", stage.token)
    read.send()
    peaks, served, health = [], [], []
    for _ in range(ROUNDS):
        peaks.append(load.rate(read))
        with _asking(stage.edge) as milliseconds:
            served.append(load.flood(read, TIMES * peaks[-1]))
        health.append(max(milliseconds))
    return [
        row("reads under 3 times the load / peak", UNIT, served, peaks, GOAL),
        row_of_time("slowest health check meanwhile", "ms", health, HEALTH_MS),
    ]


@contextmanager
def _asking(address: str) -> Iterator[list[float]]:
    """Asks for health all the while; gives what each answer took. Raises where one fails."""
    took: list[float] = []
    ended = threading.Event()
    with grpc.insecure_channel(address) as channel:
        stub: Any = health_pb2_grpc.HealthStub(channel)
        check = stub.Check
        check(health_pb2.HealthCheckRequest(), timeout=30)
        asking = threading.Thread(target=_ask, args=(check, ended, took))
        asking.start()
        yield took
        ended.set()
        asking.join()


def _ask(check: Callable[..., object], ended: threading.Event, took: list[float]) -> None:
    while not ended.wait(0.05):
        asked = time.monotonic()
        check(health_pb2.HealthCheckRequest(), timeout=30)
        took.append((time.monotonic() - asked) * 1000)
