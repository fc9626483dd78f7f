"""What is counted about streams, for `/metrics`."""

from prometheus_client import Counter, Gauge

STREAMS = Gauge("kintsugi_streams", "Streams that are open.", multiprocess_mode="livesum")
MESSAGES = Counter("kintsugi_stream_messages", "Messages that streams have sent.")
LAG = Gauge(
    "kintsugi_streams_lag_seconds",
    "How long followers have been waiting for the database, or for a transaction that is open.",
    multiprocess_mode="livemax",
)
