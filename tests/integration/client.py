"""Calls to a server, and what its errors say, in the words of the tests."""

import uuid
from typing import Any

import grpc
from google.protobuf.message import Message
from google.rpc import error_details_pb2
from grpc_status import rpc_status
from kintsugi.v1 import event_pb2, event_service_pb2
from kintsugi.v1 import exception_pb2 as pb
from kintsugi.v1 import exception_service_pb2 as service
from kintsugi.v1.access_service_pb2_grpc import AccessServiceStub
from kintsugi.v1.action_service_pb2_grpc import ActionServiceStub
from kintsugi.v1.agent_session_service_pb2_grpc import AgentSessionServiceStub
from kintsugi.v1.audit_service_pb2_grpc import AuditServiceStub
from kintsugi.v1.connector_service_pb2_grpc import ConnectorServiceStub
from kintsugi.v1.error_reason_pb2 import ErrorReason
from kintsugi.v1.event_service_pb2_grpc import EventServiceStub
from kintsugi.v1.exception_service_pb2_grpc import ExceptionServiceStub
from kintsugi.v1.guide_entry_service_pb2_grpc import GuideEntryServiceStub
from kintsugi.v1.workspace_service_pb2_grpc import WorkspaceServiceStub

from tests.identity import TOKEN, authorized

WORKSPACE = "organizations/local/workspaces/default"


class Client:
    """Stubs of all services on one channel."""

    def __init__(self, port: int, token: str = TOKEN) -> None:
        self.port = port
        self.token = token
        self.channel = authorized(grpc.insecure_channel(f"127.0.0.1:{port}"), token)
        self.access = AccessServiceStub(self.channel)
        self.actions = ActionServiceStub(self.channel)
        self.agent_sessions = AgentSessionServiceStub(self.channel)
        self.audit = AuditServiceStub(self.channel)
        self.connectors = ConnectorServiceStub(self.channel)
        self.events = EventServiceStub(self.channel)
        self.exceptions = ExceptionServiceStub(self.channel)
        self.guide_entries = GuideEntryServiceStub(self.channel)
        self.workspaces = WorkspaceServiceStub(self.channel)

    def raise_one(self, **fields: Any) -> pb.Exception:
        return self.create(new_exception(**fields))

    def create(self, exception: pb.Exception, request_id: str = "") -> pb.Exception:
        return self.exceptions.CreateException(
            service.CreateExceptionRequest(
                parent=WORKSPACE, exception=exception, request_id=request_id
            )
        )

    def get(self, name: str) -> pb.Exception:
        return self.exceptions.GetException(service.GetExceptionRequest(name=name))

    def list(self, **parameters: Any) -> service.ListExceptionsResponse:
        request = service.ListExceptionsRequest(**({"parent": WORKSPACE} | parameters))
        return self.exceptions.ListExceptions(request)

    def update(self, *mask: str, **fields: Any) -> pb.Exception:
        request = service.UpdateExceptionRequest(exception=pb.Exception(**fields))
        request.update_mask.paths.extend(mask)
        return self.exceptions.UpdateException(request)

    def resolve(self, name: str, **fields: Any) -> pb.Exception:
        request = service.ResolveExceptionRequest(name=name, **fields)
        return self.exceptions.ResolveException(request)

    def archive(self, name: str, **fields: Any) -> pb.Exception:
        request = service.ArchiveExceptionRequest(name=name, **fields)
        return self.exceptions.ArchiveException(request)

    def unarchive(self, name: str, **fields: Any) -> pb.Exception:
        request = service.UnarchiveExceptionRequest(name=name, **fields)
        return self.exceptions.UnarchiveException(request)

    def say(self, thread: str, text: str = "Hello", **fields: Any) -> event_pb2.Event:
        event = event_pb2.Event(user_message={"content": text})
        return self.create_event(thread, event, **fields)

    def create_event(
        self, thread: str, event: event_pb2.Event, request_id: str = "", exception: str = ""
    ) -> event_pb2.Event:
        request = event_service_pb2.CreateEventRequest(
            parent=thread, event=event, request_id=request_id
        )
        if exception:
            request.event.exception = exception
        return self.events.CreateEvent(request)

    def get_event(self, name: str) -> event_pb2.Event:
        return self.events.GetEvent(event_service_pb2.GetEventRequest(name=name))

    def list_events(self, thread: str, **parameters: Any) -> event_service_pb2.ListEventsResponse:
        request = event_service_pb2.ListEventsRequest(parent=thread, **parameters)
        return self.events.ListEvents(request)


def new_run() -> str:
    """The name of a run that nobody else uses."""
    return f"{WORKSPACE}/automations/billing/runs/{uuid.uuid4().hex}"


def new_thread() -> str:
    """The name of a thread that nothing was said in yet."""
    return f"{new_run()}/agents/kai"


def new_exception(**fields: Any) -> pb.Exception:
    """A valid exception of a run of its own, but for the given fields."""
    return pb.Exception(
        **({"run": new_run(), "message": "KeyError: 'total'", "location": {}} | fields)
    )


def batch(client: Client, *raised: pb.Exception, request_id: str = "") -> list[pb.Exception]:
    children = [service.CreateExceptionRequest(exception=one) for one in raised]
    request = service.BatchCreateExceptionsRequest(
        parent=WORKSPACE, requests=children, request_id=request_id
    )
    return list(client.exceptions.BatchCreateExceptions(request).exceptions)


def reason(error: grpc.RpcError) -> str:
    """The reason in the error's ErrorInfo, which every error must have."""
    info = detail(error, error_details_pb2.ErrorInfo)
    assert info.domain == "kintsugi"
    assert ErrorReason.Value(info.reason)
    return str(info.reason)


def detail(error: grpc.RpcError, kind: type[Message]) -> Any:
    """The one detail of that kind."""
    status = rpc_status.from_call(error)
    assert status is not None, error
    message = kind()
    [packed] = [each for each in status.details if each.Is(kind.DESCRIPTOR)]
    packed.Unpack(message)
    return message


def violations(error: grpc.RpcError) -> dict[str, str]:
    """What is wrong, by fields."""
    bad = detail(error, error_details_pb2.BadRequest)
    return {each.field: each.description for each in bad.field_violations}
