"""How streams end, and what doesn't end them: callers, servers and Envoys that go away.

The server here streams what a test tells it; Envoy and envoy.yaml are the real ones.
"""

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import grpc
import httpx
import pytest

from tests.acceptance.edges import Edges, serve
from tests.acceptance.streaming import WAYS, Upstream

every_way = pytest.mark.parametrize("way", WAYS)


@every_way
def test_a_server_learns_that_its_caller_hung_up(edges: Edges, way: str) -> None:
    gone = threading.Event()

    def stream(context: grpc.ServicerContext) -> Iterator[str]:
        context.add_callback(gone.set)
        yield "one"
        gone.wait(60)

    server, address = serve(Upstream(stream))
    with WAYS[way](edges.start([address])) as messages:
        assert next(messages) == "one"
    assert gone.wait(30)
    server.stop(None).wait()


DYING = """
import os, threading, time
from tests.acceptance.edges import serve
from tests.acceptance.streaming import Upstream

def stream(context):
    while True:
        yield "one"
        time.sleep(0.1)

server, address = serve(Upstream(stream))
print(address, flush=True)
time.sleep(120)
"""


@pytest.fixture
def dying() -> Iterator["subprocess.Popen[str]"]:
    """A server to be killed, which tells its address."""
    argv = [sys.executable, "-c", DYING]
    root = Path(__file__).parents[2]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True, cwd=root) as process:
        yield process
        process.kill()


@every_way
def test_a_killed_server_ends_its_streams(
    edges: Edges, dying: "subprocess.Popen[str]", way: str
) -> None:
    assert dying.stdout is not None
    address = edges.start([dying.stdout.readline().strip()])
    with WAYS[way](address) as messages:
        assert next(messages) == "one"
        dying.send_signal(signal.SIGKILL)
        with pytest.raises((httpx.RemoteProtocolError, grpc.RpcError)) as ended:
            list(messages)
    if way == "gRPC":
        assert ended.value.code() == grpc.StatusCode.INTERNAL
        assert "RST_STREAM" in ended.value.details()


@every_way
def test_a_stream_outlives_the_time_of_other_calls(edges: Edges, way: str) -> None:
    """Both for calls and for what is silent: as in production, but shorter."""

    def stream(context: grpc.ServicerContext) -> Iterator[str]:
        yield "one"
        time.sleep(3)
        yield "two"

    server, address = serve(Upstream(stream))
    shorter = (('"timeout": "35s"', '"timeout": "1s"'), ('"300s"', '"1s"'))
    with WAYS[way](edges.start([address], *shorter)) as messages:
        assert list(messages) == ["one", "two"]
    server.stop(None).wait()


@every_way
def test_an_envoy_that_drains_keeps_its_streams(edges: Edges, way: str) -> None:
    drained = threading.Event()

    def stream(context: grpc.ServicerContext) -> Iterator[str]:
        yield "one"
        yield "two" if drained.wait(60) else "never drained"

    server, address = serve(Upstream(stream))
    edge = edges.start([address], ('"exact": "/ready"', '"prefix": "/"'))
    with WAYS[way](edge) as messages:
        assert next(messages) == "one"
        httpx.post(
            f"http://{edges.admin()}/drain_listeners?graceful", timeout=30
        ).raise_for_status()
        drained.set()
        assert list(messages) == ["two"]
    server.stop(None).wait()
