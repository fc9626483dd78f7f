"""A span for each RPC by OpenTelemetry, an extra: `pip install 'kintsugi[otel]'`.

Where spans are sent, and which ones, is said by its own variables (OTEL_EXPORTER_OTLP_ENDPOINT …).
"""

import os
from collections.abc import Callable

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import SpanKind, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from server.interceptors.trace import Metadata, untraced

_FAULTS = {"UNKNOWN", "DEADLINE_EXCEEDED", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS"}
"""The codes that are a server's error (OpenTelemetry's conventions for gRPC)."""

_parent = TraceContextTextMapPropagator()


class Spans:
    """Sends a span of each call, a few at a time, from a thread of its own, until `close`."""

    def __init__(self) -> None:
        os.environ.setdefault("OTEL_SERVICE_NAME", "kintsugi")
        self._provider = TracerProvider(shutdown_on_exit=False)
        self._provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        self._tracer = self._provider.get_tracer("kintsugi")

    def begin(self, path: str, metadata: Metadata) -> tuple[str, Callable[[str], None]]:
        """A span under the caller's, if it has one: its trace's id, and what ends it by a code.

        None of gRPC's own services: Envoy asks for health all the time.
        """
        if path.startswith("/grpc."):
            return untraced(path, metadata)
        service, _, method = path[1:].partition("/")
        span = self._tracer.start_span(
            path[1:],
            context=_parent.extract(metadata),
            kind=SpanKind.SERVER,
            attributes={"rpc.system": "grpc", "rpc.service": service, "rpc.method": method},
        )

        def end(code: str) -> None:
            span.set_attribute("rpc.response.status_code", code)
            if code in _FAULTS:
                span.set_status(StatusCode.ERROR)
            span.end()

        return f"{span.get_span_context().trace_id:032x}", end

    def close(self) -> None:
        """Sends what is left."""
        self._provider.shutdown()
