"""One port speaks JSON, native gRPC, gRPC-Web, reflection and health, for everybody at once."""

import json
import socket
import subprocess
import sys
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from grpc_status import rpc_status
from h2.config import H2Configuration
from h2.connection import H2Connection
from kintsugi.v1 import exception_pb2 as pb
from kintsugi.v1 import exception_service_pb2 as service
from kintsugi.v1.exception_service_pb2_grpc import ExceptionServiceStub
from kintsugi.v1.location_pb2 import Location

SERVICES = {
    "kintsugi.v1.AccessService",
    "kintsugi.v1.EventService",
    "kintsugi.v1.EventSourceService",
    "kintsugi.v1.ExceptionService",
    "kintsugi.v1.WorkspaceService",
}


@pytest.fixture
def channel(stack: Any) -> Iterator[grpc.Channel]:
    options = {"grpc.use_local_subchannel_pool": 1, "grpc.max_send_message_length": -1}
    with stack.channel(**options) as opened:
        yield opened


def grpcurl(stack: Any, *arguments: str) -> str:
    binary = str(Path(sys.executable).with_name("grpcurl"))
    argv = [binary, "-plaintext", "-H", f"authorization: Bearer {stack.token}", *arguments]
    return subprocess.run(argv, capture_output=True, text=True, check=True, timeout=60).stdout


def test_native_grpc(stack: Any, channel: grpc.Channel) -> None:
    stub = ExceptionServiceStub(channel)
    run = f"{stack.workspace}/automations/edge/runs/{uuid.uuid4().hex}"
    raised = pb.Exception(run=run, location=Location(), message="broken")
    made = stub.CreateException(
        service.CreateExceptionRequest(parent=stack.workspace, exception=raised), timeout=30
    )
    found = stub.GetException(service.GetExceptionRequest(name=made.name), timeout=30)
    for each in (made, found):
        each.ClearField("description")  # a worker writes it soon afterwards
        each.ClearField("update_time")
    assert found == made


def test_native_grpc_errors_carry_their_details(stack: Any, channel: grpc.Channel) -> None:
    request = service.GetExceptionRequest(name=f"{stack.workspace}/exceptions/none")
    with pytest.raises(grpc.RpcError) as failed:
        ExceptionServiceStub(channel).GetException(request, timeout=30)
    assert failed.value.code() == grpc.StatusCode.NOT_FOUND
    call: Any = failed.value
    assert rpc_status.from_call(call).details


def test_an_unknown_grpc_method_is_unimplemented(channel: grpc.Channel) -> None:
    with pytest.raises(grpc.RpcError) as failed:
        unary(channel, "Nope")(b"", timeout=30)
    assert failed.value.code() == grpc.StatusCode.UNIMPLEMENTED


def unary(channel: grpc.Channel, method: str) -> Any:
    return channel.unary_unary(f"/kintsugi.v1.ExceptionService/{method}")


def test_a_grpc_message_above_the_limit_is_resource_exhausted(
    stack: Any, channel: grpc.Channel
) -> None:
    raised = pb.Exception(message="a" * 5_000_000)
    request = service.CreateExceptionRequest(parent=stack.workspace, exception=raised)
    with pytest.raises(grpc.RpcError) as failed:
        ExceptionServiceStub(channel).CreateException(request, timeout=30)
    assert failed.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED


@pytest.mark.parametrize("kind", ["application/grpc-web+proto", "application/grpc-web"])
def test_grpc_web(stack: Any, kind: str) -> None:
    request = service.ListExceptionsRequest(parent=stack.workspace, page_size=1)
    answer = grpc_web(stack, "ListExceptions", request.SerializeToString(), kind)
    assert answer.headers["content-type"].startswith("application/grpc-web")
    message, trailers = frames(answer.content)
    assert service.ListExceptionsResponse.FromString(message).total_size >= 0
    assert b"grpc-status:0" in trailers


def test_grpc_web_errors(stack: Any) -> None:
    request = service.GetExceptionRequest(name=f"{stack.workspace}/exceptions/none")
    answer = grpc_web(stack, "GetException", request.SerializeToString(), "application/grpc-web")
    status = answer.headers.get("grpc-status") or answer.text.partition("grpc-status:")[2][:1]
    assert status == str(grpc.StatusCode.NOT_FOUND.value[0])


def grpc_web(stack: Any, method: str, message: bytes, kind: str) -> httpx.Response:
    url = f"{stack.rest}/kintsugi.v1.ExceptionService/{method}"
    body = b"\0" + len(message).to_bytes(4, "big") + message
    return stack.http.post(url, content=body, headers={"content-type": kind}, timeout=30)


def frames(body: bytes) -> tuple[bytes, bytes]:
    """The message and the trailers of a gRPC-Web answer."""
    size = int.from_bytes(body[1:5], "big")
    assert body[0] == 0
    assert body[5 + size] == 0x80
    return body[5 : 5 + size], body[10 + size :]


def test_json_over_http2(stack: Any) -> None:
    with httpx.Client(http1=False, http2=True, timeout=30) as http2:
        answer = http2.get(stack.exceptions, headers=stack.headers)
    assert answer.http_version == "HTTP/2"
    assert "exceptions" in answer.json()


def test_grpcurl_finds_its_way(stack: Any) -> None:
    assert set(grpcurl(stack, stack.edge, "list").split()) >= SERVICES
    assert "message Exception" in grpcurl(stack, stack.edge, "describe", "kintsugi.v1.Exception")
    parent = json.dumps({"parent": stack.workspace, "page_size": 1})
    method = "kintsugi.v1.ExceptionService/ListExceptions"
    assert "total_size" in grpcurl(stack, "-emit-defaults", "-d", parent, stack.edge, method)


def test_reflection_answers_while_the_caller_holds_the_call(channel: grpc.Channel) -> None:
    answered = threading.Event()

    def requests() -> Iterator[reflection_pb2.ServerReflectionRequest]:
        yield reflection_pb2.ServerReflectionRequest(list_services="")
        answered.wait(30)

    stub: Any = reflection_pb2_grpc.ServerReflectionStub(channel)
    answers = stub.ServerReflectionInfo(requests(), timeout=30)
    names = next(answers).list_services_response.service
    assert {service.name for service in names} >= SERVICES
    answered.set()
    assert list(answers) == []


@pytest.mark.parametrize("service_name", ["", *sorted(SERVICES)])
def test_health(channel: grpc.Channel, service_name: str) -> None:
    stub: Any = health_pb2_grpc.HealthStub(channel)
    request = health_pb2.HealthCheckRequest(service=service_name)
    serving = health_pb2.HealthCheckResponse.SERVING
    assert stub.Check(request, timeout=30).status == serving
    watch = stub.Watch(request, timeout=30)
    assert next(watch).status == serving
    watch.cancel()


NATIVE = "/kintsugi.v1.ExceptionService/GetException"
REFLECTION = "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"


@pytest.mark.parametrize(
    ("path", "kind", "begun"),
    [
        (NATIVE, "application/grpc", b""),
        (NATIVE, "application/grpc", b"\0\0\0\0\x09abc"),
        (REFLECTION, "application/grpc", b""),
        ("/grpc.health.v1.Health/Watch", "application/grpc", b""),
        ("/api/v1/organizations/local/workspaces/default/exceptions", "application/json", b"{"),
    ],
)
def test_a_hundred_silent_callers_stop_nobody(
    stack: Any, channel: grpc.Channel, path: str, kind: str, begun: bytes
) -> None:
    with silent_callers(stack.edge, 100, path, kind, begun):
        request = service.ListExceptionsRequest(parent=stack.workspace, page_size=1)
        for _ in range(10):
            ExceptionServiceStub(channel).ListExceptions(request, timeout=10)
            assert stack.http.get(stack.exceptions, timeout=10).status_code == 200
        assert set(grpcurl(stack, stack.edge, "list").split()) >= SERVICES


@contextmanager
def silent_callers(edge: str, count: int, path: str, kind: str, begun: bytes) -> Iterator[None]:
    """Opens calls on one connection, sends the beginning of a message at most, and holds them."""
    host, port = edge.split(":")
    http2 = H2Connection(H2Configuration(client_side=True))
    http2.initiate_connection()
    fields = {":method": "POST", ":scheme": "http", ":authority": edge, ":path": path}
    fields |= {"content-type": kind, "te": "trailers"}
    for stream in range(1, 2 * count, 2):
        http2.send_headers(stream, list(fields.items()))
        if begun:
            http2.send_data(stream, begun)
    with socket.create_connection((host, int(port))) as connection:
        connection.sendall(http2.data_to_send())
        yield
