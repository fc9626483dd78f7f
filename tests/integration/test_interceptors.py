"""What every RPC gets around it, of whichever of the four kinds it is."""

import threading
from collections.abc import Callable, Iterator

import grpc
import pytest
import structlog
from google.rpc import error_details_pb2
from prometheus_client import REGISTRY

from server.domain.call import current_call, remaining_seconds
from server.domain.errors import NotFound
from server.interceptors.methods import UndeclaredPermission, declared_methods
from tests.integration.client import detail, reason
from tests.integration.probe import KINDS, SERVICE, Behavior, Gate, Probe, service
from tests.integration.waiting import until

Start = Callable[..., Probe]
all_kinds = pytest.mark.parametrize("kind", KINDS)


@pytest.fixture
def start() -> Iterator[Start]:
    started: list[Probe] = []

    def start_probe(behavior: Behavior, **sizes: int) -> Probe:
        started.append(Probe(behavior, **sizes))
        return started[-1]

    yield start_probe
    for probe in started:
        probe.close()


def fail(error: Exception) -> Behavior:
    def behavior() -> str:
        raise error

    return behavior


def test_a_method_without_a_permission_cannot_be_registered() -> None:
    with pytest.raises(UndeclaredPermission, match=r"/probe\.Probe/UnaryUnary declares no"):
        declared_methods([service(permission="")])
    assert set(declared_methods([service(permission="x")])) == {f"/{SERVICE}/{k}" for k in KINDS}


@all_kinds
def test_an_error_arrives_with_its_details(start: Start, kind: str) -> None:
    name = "organizations/o/workspaces/w/exceptions/e"
    with pytest.raises(grpc.RpcError) as error:
        start(fail(NotFound(name))).call(kind)
    assert error.value.code() is grpc.StatusCode.NOT_FOUND
    assert reason(error.value) == "RESOURCE_NOT_FOUND"
    assert detail(error.value, error_details_pb2.ResourceInfo).resource_name == name


@all_kinds
def test_a_fault_tells_a_reference_and_nothing_else(start: Start, kind: str) -> None:
    with (
        structlog.testing.capture_logs() as logs,
        pytest.raises(grpc.RpcError) as error,
    ):
        start(fail(RuntimeError("the secret is swordfish"))).call(kind)
    assert error.value.code() is grpc.StatusCode.INTERNAL
    assert "swordfish" not in str(error.value)
    reference = detail(error.value, error_details_pb2.ErrorInfo).metadata["reference"]
    assert [log["reference"] for log in logs if log["event"] == "internal error"] == [reference]


@all_kinds
def test_handlers_know_who_calls_and_how_long_they_may_take(start: Start, kind: str) -> None:
    answer = start(lambda: f"{current_call().principal} {remaining_seconds():.0f}").call(
        kind, timeout=8
    )
    assert answer == ("users/ada 8" if kind == "UnaryUnary" else "users/ada 30")


@all_kinds
def test_every_call_leaves_a_log_line_and_is_counted(start: Start, kind: str) -> None:
    labels = {"method": f"/{SERVICE}/{kind}", "code": "OK"}
    before = REGISTRY.get_sample_value("kintsugi_rpcs_total", labels) or 0
    probe = start(lambda: "fine")
    with structlog.testing.capture_logs() as logs:
        probe.call(kind)
        probe.close()
    assert REGISTRY.get_sample_value("kintsugi_rpcs_total", labels) == before + 1
    [line] = [log for log in logs if log["event"] == "rpc"]
    assert line.items() >= labels.items()
    assert line["ms"] >= 0


@all_kinds
def test_streams_and_unary_calls_have_threads_of_their_own(start: Start, kind: str) -> None:
    thread = start(lambda: threading.current_thread().name).call(kind)
    assert thread.startswith("calls" if kind == "UnaryUnary" else "streams")


@all_kinds
def test_too_many_calls_are_refused_and_never_reach_a_handler(start: Start, kind: str) -> None:
    gate = Gate()
    probe = start(gate, threads=1, limit=3)
    waiting = [probe.start_call(kind) for _ in range(3)]
    pool = probe.pools.unary if kind == "UnaryUnary" else probe.pools.streams
    until(lambda: pool.count == 3)
    with pytest.raises(grpc.RpcError) as error:
        probe.call(kind)
    assert error.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert reason(error.value) == "OVERLOADED"
    assert detail(error.value, error_details_pb2.RetryInfo).retry_delay.seconds == 1
    assert gate.reached == 1
    labels = {"method": f"/{SERVICE}/{kind}", "code": "RESOURCE_EXHAUSTED"}
    until(lambda: REGISTRY.get_sample_value("kintsugi_rpcs_total", labels))
    gate.opened.set()
    for call in waiting:
        call.result()
    until(lambda: pool.count == 0)
    probe.call(kind)


def test_full_streams_leave_room_for_unary_calls(start: Start) -> None:
    gate = Gate()
    probe = start(gate, threads=1, limit=1)
    stream = probe.start_call("UnaryStream")
    until(lambda: gate.reached == 1)
    gate.opened.set()
    probe.call("UnaryUnary")
    stream.result()


def test_a_call_that_is_cancelled_before_its_turn_leaves_its_place(start: Start) -> None:
    gate = Gate()
    probe = start(gate, threads=1, limit=2)
    first = probe.start_call("UnaryUnary")
    until(lambda: gate.reached == 1)
    with pytest.raises(grpc.RpcError):
        probe.call("UnaryUnary", timeout=0.2)
    gate.opened.set()
    first.result()
    until(lambda: probe.pools.unary.count == 0)
    assert gate.reached == 1


def test_bytes_that_are_no_message_are_a_clients_error(start: Start) -> None:
    call = start(lambda: "fine").channel.unary_unary(f"/{SERVICE}/UnaryUnary")
    with pytest.raises(grpc.RpcError) as error:
        call(b"\x0a\x02\xff\xff", timeout=10)
    assert error.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert reason(error.value) == "INVALID_FIELDS"
