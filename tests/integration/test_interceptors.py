"""What every RPC gets around it, of whichever of the four kinds it is."""

import re
import threading
from collections.abc import Callable, Iterator
from typing import Any

import grpc
import pytest
import structlog
from google.rpc import error_details_pb2
from prometheus_client import REGISTRY

from server.domain.call import current_call, remaining_seconds
from server.domain.errors import NotFound
from server.interceptors.methods import UndeclaredPermission, declared_methods
from server.logs import with_call
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


TYPES = {
    "UnaryUnary": "unary",
    "UnaryStream": "server_stream",
    "StreamUnary": "client_stream",
    "StreamStream": "bidi_stream",
}
PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


def counted(name: str, kind: str, **more: str) -> float:
    labels = {"grpc_type": TYPES[kind], "grpc_service": SERVICE, "grpc_method": kind} | more
    return REGISTRY.get_sample_value(name, labels) or 0


def logged(probe: Probe, kind: str, *metadata: tuple[str, str]) -> dict[str, Any]:
    """The line of one call."""
    merge = [with_call]
    with structlog.testing.capture_logs(processors=merge) as logs:
        probe.call(kind, metadata=metadata)
        until(lambda: [log for log in logs if log["event"] == "rpc"])
    [line] = [log for log in logs if log["event"] == "rpc"]
    return dict(line)


@all_kinds
def test_every_call_is_counted_when_it_begins_and_when_it_ends(start: Start, kind: str) -> None:
    def counts() -> list[float]:
        ended = ("grpc_server_handled_total", "grpc_server_handling_seconds_count")
        started = counted("grpc_server_started_total", kind)
        return [started, *(counted(name, kind, grpc_code="OK") for name in ended)]

    started, handled, timed = counts()
    gate = Gate()
    probe = start(gate)
    call = probe.start_call(kind)
    until(lambda: gate.reached == 1)
    until(lambda: counts() == [started + 1, handled, timed])
    gate.opened.set()
    call.result()
    until(lambda: counts() == [started + 1, handled + 1, timed + 1])


@all_kinds
def test_every_call_leaves_a_line_that_says_who_called_what(start: Start, kind: str) -> None:
    line = logged(start(lambda: "fine"), kind)
    assert line["method"] == f"/{SERVICE}/{kind}"
    assert line["code"] == "OK"
    assert line["principal"] == "users/ada"
    assert line["ms"] >= 0


@all_kinds
def test_a_line_carries_the_callers_trace_and_request_id(start: Start, kind: str) -> None:
    line = logged(start(lambda: "fine"), kind, ("traceparent", PARENT), ("x-request-id", "r-1"))
    assert (line["trace_id"], line["request_id"]) == ("4bf92f3577b34da6a3ce929d0e0e4736", "r-1")


@pytest.mark.parametrize(
    "traceparent",
    ["", "x", "00-" + "0" * 32 + PARENT[35:], PARENT.replace("00-", "ff-", 1), PARENT + "!"],
)
def test_without_a_usable_trace_one_is_made(start: Start, traceparent: str) -> None:
    probe = start(lambda: "fine")
    made = [logged(probe, "UnaryUnary", ("traceparent", traceparent)) for _ in range(2)]
    assert all(re.fullmatch("[0-9a-f]{32}", line["trace_id"]) for line in made)
    assert len({line["trace_id"] for line in made}) == 2
    assert len({line["request_id"] for line in made}) == 2


def test_a_request_id_that_is_no_id_is_not_logged(start: Start) -> None:
    line = logged(start(lambda: "fine"), "UnaryUnary", ("x-request-id", "a b" * 1000))
    assert re.fullmatch("[0-9a-f]{16}", line["request_id"])


def test_what_a_handler_logs_belongs_to_its_call_and_to_no_later_one(start: Start) -> None:
    log = structlog.get_logger()
    merge = [with_call]
    probe = start(lambda: log.info("at work") or "fine", threads=1)
    with structlog.testing.capture_logs(processors=merge) as logs:
        probe.call("UnaryUnary", metadata=[("x-request-id", "first")])
        probe.call("UnaryUnary", metadata=[("x-request-id", "second")])
        until(lambda: len(logs) == 4)
    told = sorted((line["event"], line["request_id"]) for line in logs)
    assert told == [(e, r) for e in ("at work", "rpc") for r in ("first", "second")]
    assert all(line["principal"] == "users/ada" for line in logs)


def test_a_line_holds_nothing_of_the_message(start: Start) -> None:
    line = logged(start(lambda: "the answer is swordfish"), "UnaryUnary")
    assert "swordfish" not in str(line)
    names = {"event", "method", "code", "ms", "principal", "request_id", "trace_id"}
    assert set(line) == names | {"log_level", "timestamp"}


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
    until(lambda: counted("grpc_server_handled_total", kind, grpc_code="RESOURCE_EXHAUSTED"))
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
