"""Spans, as a collector gets them that speaks OTLP over HTTP."""

import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import grpc
import pytest
import structlog
from kintsugi.v1.exception_service_pb2 import GetExceptionRequest, ListExceptionsRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from server.app import CannotRun
from server.logs import with_call
from tests.integration.client import WORKSPACE
from tests.integration.conftest import StartServer
from tests.integration.waiting import until

PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


class Collector:
    """Keeps the spans that it is sent."""

    def __init__(self) -> None:
        self.spans: list[Any] = []
        self.services: set[str] = set()
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                collector.take(ExportTraceServiceRequest.FromString(body))
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:
                """Nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def take(self, request: ExportTraceServiceRequest) -> None:
        for each in request.resource_spans:
            values = {value.key: value.value.string_value for value in each.resource.attributes}
            self.services.add(values["service.name"])
            self.spans += [span for scope in each.scope_spans for span in scope.spans]

    def named(self, method: str) -> Any:
        until(lambda: [span for span in self.spans if span.name.endswith(f"/{method}")])
        [span] = [span for span in self.spans if span.name.endswith(f"/{method}")]
        return span


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    started = Collector()
    port = started.server.server_address[1]
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{port}")
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "50")
    yield started
    started.server.shutdown()
    started.server.server_close()


def attributes(span: Any) -> dict[str, str]:
    return {each.key: each.value.string_value for each in span.attributes}


def test_a_call_is_a_span_under_its_callers(
    collector: Collector, start_server: StartServer
) -> None:
    client = start_server(tracing=True)
    request = ListExceptionsRequest(parent=WORKSPACE)
    client.exceptions.ListExceptions(request, metadata=[("traceparent", PARENT)])
    span = collector.named("ListExceptions")
    assert span.name == "kintsugi.v1.ExceptionService/ListExceptions"
    assert span.trace_id.hex() == PARENT.split("-")[1]
    assert span.parent_span_id.hex() == PARENT.split("-")[2]
    assert attributes(span) == {
        "rpc.system": "grpc",
        "rpc.service": "kintsugi.v1.ExceptionService",
        "rpc.method": "ListExceptions",
        "rpc.response.status_code": "OK",
    }
    assert collector.services == {"kintsugi"}


def test_a_call_without_a_caller_logs_the_trace_of_its_span(
    collector: Collector, start_server: StartServer
) -> None:
    client = start_server(tracing=True)
    merge = [with_call]
    with structlog.testing.capture_logs(processors=merge) as logs:
        with pytest.raises(grpc.RpcError):
            client.exceptions.GetException(GetExceptionRequest(name=f"{WORKSPACE}/exceptions/e"))
        until(lambda: [log for log in logs if log["event"] == "rpc"])
    [line] = [log for log in logs if log["event"] == "rpc"]
    span = collector.named("GetException")
    assert line["trace_id"] == span.trace_id.hex()
    assert attributes(span)["rpc.response.status_code"] == line["code"]


def test_unless_it_is_configured_nothing_is_sent(
    collector: Collector, start_server: StartServer
) -> None:
    client = start_server()
    client.list()
    threads = {thread.name for thread in threading.enumerate()}
    assert not any("BatchSpan" in name or "Otel" in name for name in threads)
    assert collector.spans == []


def test_without_the_extra_the_server_says_what_is_missing(
    start_server: StartServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "server.tracing", raising=False)
    for missing in ("opentelemetry", "opentelemetry.exporter.otlp.proto.http.trace_exporter"):
        monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(CannotRun, match=r"pip install 'kintsugi\[otel\]'"):
        start_server(tracing=True)
