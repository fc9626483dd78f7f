"""The connector service as the commands need it.

How it is reached is in `connection`, how answers look is in `connectors`.
"""

from collections.abc import Iterator, Sequence

from google.protobuf.field_mask_pb2 import FieldMask
from kintsugi.v1 import connector_pb2 as pb
from kintsugi.v1 import connector_service_pb2 as service
from kintsugi.v1.connector_service_pb2_grpc import ConnectorServiceStub

from cli import names
from cli.service_client import ServiceClient


class ConnectorClient(ServiceClient[ConnectorServiceStub]):
    """The connector service as methods. Each raises ServiceError."""

    STUB = ConnectorServiceStub

    def all(self, matching: str) -> Iterator[pb.Connector]:
        request = service.ListConnectorsRequest(parent=names.workspace(), filter=matching)
        for page in self._pages(self._stub.ListConnectors, request):
            yield from page.connectors

    def get(self, name: str) -> pb.Connector:
        return self._call(self._stub.GetConnector, service.GetConnectorRequest(name=name))

    def create(self, id: str, connector: pb.Connector) -> pb.Connector:
        request = service.CreateConnectorRequest(
            parent=names.workspace(), connector_id=id, connector=connector
        )
        return self._call(self._stub.CreateConnector, request)

    def change(self, connector: pb.Connector, fields: Sequence[str]) -> pb.Connector:
        """`connector.etag`, where it is set, is that of what was read."""
        mask = FieldMask(paths=fields)
        request = service.UpdateConnectorRequest(connector=connector, update_mask=mask)
        return self._call(self._stub.UpdateConnector, request)

    def delete(self, name: str) -> None:
        self._call(self._stub.DeleteConnector, service.DeleteConnectorRequest(name=name))

    def test(
        self, request: service.TestConnectorRequest, seconds: float
    ) -> service.TestConnectorResponse:
        return self._call(self._stub.TestConnector, request, seconds)
