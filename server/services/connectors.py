"""ConnectorService: each method converts, calls one operation, converts.

Identity, permission, deadlines, errors, logging and metrics are the interceptors'.
"""

import threading

import grpc
from google.protobuf.empty_pb2 import Empty
from kintsugi.v1 import connector_pb2 as pb
from kintsugi.v1 import connector_service_pb2 as service
from kintsugi.v1.connector_service_pb2_grpc import ConnectorServiceServicer

from server.domain.names import ConnectorName, WorkspaceName
from server.operations import connectors as operations
from server.outbound.sending import Sender
from server.resources.collection import Collection
from server.resources.connector import CONNECTOR
from server.store.store import Store


class ConnectorService(ConnectorServiceServicer):
    def __init__(self, store: Store, sender: Sender) -> None:
        self._connectors = Collection(store, CONNECTOR)
        self._sender = sender

    def CreateConnector(
        self, request: service.CreateConnectorRequest, context: grpc.ServicerContext
    ) -> pb.Connector:
        return operations.create(self._connectors, request)

    def GetConnector(
        self, request: service.GetConnectorRequest, context: grpc.ServicerContext
    ) -> pb.Connector:
        return self._connectors.get(ConnectorName.parse(request.name))

    def ListConnectors(
        self, request: service.ListConnectorsRequest, context: grpc.ServicerContext
    ) -> service.ListConnectorsResponse:
        response = service.ListConnectorsResponse()
        parent = WorkspaceName.parse(request.parent)
        self._connectors.list(parent, request, response, response.connectors)
        return response

    def UpdateConnector(
        self, request: service.UpdateConnectorRequest, context: grpc.ServicerContext
    ) -> pb.Connector:
        return operations.update(self._connectors, request)

    def DeleteConnector(
        self, request: service.DeleteConnectorRequest, context: grpc.ServicerContext
    ) -> Empty:
        name = ConnectorName.parse(request.name)
        self._connectors.delete(name, request, request.etag)
        return Empty()

    def TestConnector(
        self, request: service.TestConnectorRequest, context: grpc.ServicerContext
    ) -> service.TestConnectorResponse:
        cancelled = threading.Event()
        context.add_callback(cancelled.set)
        return operations.test(self._connectors, self._sender, request, cancelled)
