"""Callers who have stopped to read: they stop no other, and Envoy keeps little for them.

The server here streams what a test tells it; Envoy and envoy.yaml are the real ones.
"""

import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
from h2.config import H2Configuration
from h2.connection import H2Connection

from tests.acceptance.edges import Edges, serve
from tests.acceptance.streaming import NATIVE, STREAM, WAYS, Upstream

GET_EVENT = "/kintsugi.v1.EventService/GetEvent"
READERS = 200 if os.environ.get("KINTSUGI_SOAK") else 40

Until = Callable[[Callable[[], bool], float], bool]


def flood(context: grpc.ServicerContext) -> Iterator[str]:
    while context.is_active():
        yield "m" * 16_384


@contextmanager
def stopped_readers(edge: str, way: str, count: int) -> Iterator[None]:
    """Opens streams and never takes anything from them."""
    host, port = edge.split(":")
    with ExitStack() as opened:
        if way == "HTTP/1.1":
            for _ in range(count):
                connection = opened.enter_context(socket.create_connection((host, int(port))))
                connection.sendall(f"GET {STREAM} HTTP/1.1\r\nhost: {edge}\r\n\r\n".encode())
        else:
            connection = opened.enter_context(socket.create_connection((host, int(port))))
            connection.sendall(http2_calls(edge, NATIVE, count))
        yield


@pytest.mark.parametrize("way", ["HTTP/1.1", "HTTP/2"])
def test_stopped_readers_stop_no_other_and_take_little(
    edges: Edges, until: Until, way: str
) -> None:
    upstream = Upstream(flood)
    server, address = serve(upstream, threads=READERS + 16)
    edge = edges.start([address])
    process = edges.started[-1].pid
    before = resident(process)
    with stopped_readers(edge, way, READERS):
        assert until(lambda: len(upstream.asked) == READERS, 60)
        settle(process)
        assert resident(process) - before < READERS * 1_000_000
        upstream.stream = lambda context: iter(("one", "two"))
        for living in WAYS.values():
            with living(edge) as messages:
                assert list(messages) == ["one", "two"]
    server.stop(None).wait()


def resident(process: int) -> int:
    """Bytes of memory that a process has."""
    pages = int(Path(f"/proc/{process}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def settle(process: int) -> None:
    """Waits until a process has stopped to take more memory, 30 s at most."""
    sizes = [0, resident(process)]
    deadline = time.monotonic() + 30
    while sizes[-1] - sizes[-2] > 100_000 and time.monotonic() < deadline:
        time.sleep(2)
        sizes.append(resident(process))


def http2_calls(edge: str, path: str, count: int) -> bytes:
    """gRPC calls on one connection, whose window is wide open while those of the calls aren't."""
    http2 = H2Connection(H2Configuration(client_side=True))
    http2.initiate_connection()
    http2.increment_flow_control_window(2**30)
    fields = {":method": "POST", ":scheme": "http", ":authority": edge, ":path": path}
    fields |= {"content-type": "application/grpc", "te": "trailers"}
    for stream in range(1, 2 * count, 2):
        http2.send_headers(stream, list(fields.items()))
        http2.send_data(stream, b"\0\0\0\0\0", end_stream=True)
    return http2.data_to_send()


def test_callers_who_do_not_take_their_answer_stop_no_other(edges: Edges, until: Until) -> None:
    """30 large answers are more than the connection to a server could bear by default."""
    upstream = Upstream(lambda context: iter(("m" * 4_000_000,)))
    server, address = serve(upstream, threads=READERS)
    edge = edges.start([address])
    host, port = edge.split(":")
    with socket.create_connection((host, int(port))) as connection:
        connection.sendall(http2_calls(edge, GET_EVENT, 30))
        assert until(lambda: len(upstream.asked) == 30, 60)
        settle(edges.started[-1].pid)
        upstream.stream = lambda context: iter(("one",))
        for _ in range(10):  # connections, which Envoy's threads share among them
            with grpc.insecure_channel(
                edge, options=[("grpc.use_local_subchannel_pool", 1)]
            ) as own:
                call: Any = own.unary_unary(GET_EVENT)
                assert call(b"", timeout=10)
    server.stop(None).wait()
