"""The standard health service, and in it a service `streams`: whether these are up to date.

Envoy asks for all services alike; `/readyz` asks for the streams, too.
"""

from collections.abc import Callable

import grpc
from grpc_health.v1 import health
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse

_STREAMS = "streams"


class Health(health.HealthServicer):
    """`is_fresh` says whether streams have what the database has."""

    def __init__(self, is_fresh: Callable[[], bool]) -> None:
        super().__init__(experimental_non_blocking=False)
        self.set(_STREAMS, HealthCheckResponse.SERVING)
        self._is_fresh = is_fresh

    def Check(
        self, request: HealthCheckRequest, context: grpc.ServicerContext
    ) -> HealthCheckResponse:
        if request.service == _STREAMS and not self._is_fresh():
            return HealthCheckResponse(status=HealthCheckResponse.NOT_SERVING)
        answer: HealthCheckResponse = super().Check(request, context)
        return answer
