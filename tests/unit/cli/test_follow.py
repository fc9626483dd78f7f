"""What `kintsugi exec` does while it waits for its exception."""

from collections.abc import Iterable, Iterator
from typing import Any

import grpc
import pytest
from kintsugi.v1 import event_pb2, event_service_pb2
from kintsugi.v1 import exception_pb2 as pb

from cli.errors import ServiceError
from cli.run.follow import follow

IN = "organizations/local/workspaces/default"
THREAD = f"{IN}/automations/a/runs/1"
PENDING = pb.Exception(name=f"{IN}/exceptions/7", run=THREAD, state=pb.EXCEPTION_STATE_PENDING)
RESOLVED = pb.Exception(name=PENDING.name, run=THREAD, state=pb.EXCEPTION_STATE_RESOLVED)

AWAY = ServiceError(grpc.StatusCode.UNAVAILABLE, ["away"])
EXPIRED = ServiceError(grpc.StatusCode.FAILED_PRECONDITION, ["expired"], "", "CURSOR_EXPIRED")
GONE = ServiceError(grpc.StatusCode.NOT_FOUND, ["gone"])

Response = event_service_pb2.StreamEventsResponse
QUIET = Response(cursor="1")


def said(id: int, text: str) -> Response:
    message = event_pb2.UserMessage(user="users/ada", content=text)
    return _response(id, user_message=message)


def system(id: int, text: str) -> Response:
    return _response(id, system_message=event_pb2.SystemMessage(content=text))


def output(id: int) -> Response:
    return _response(id, tool_call_result=event_pb2.ToolCallResult(result="output"))


def _response(id: int, **content: Any) -> Response:
    name = f"{THREAD}/agents/kai/events/{id}"
    return Response(event=event_pb2.Event(name=name, **content), cursor=str(id))


class Service:
    """Answers `get` and `follow` with what the test says, in this order; an error is raised."""

    def __init__(self, looks: Iterable[Any], *streams: Iterable[Any]) -> None:
        self._looks = iter(looks)
        self._streams = iter(streams)
        self.asked: list[tuple[str, str]] = []

    def get(self, _name: str) -> pb.Exception:
        return _answer(next(self._looks))

    def follow(self, thread: str, matching: str, until: float | None) -> Iterator[Any]:
        self.asked.append((thread, matching))
        yield from map(_answer, next(self._streams))


def _answer(planned: Any) -> Any:
    if isinstance(planned, ServiceError):
        raise planned
    return planned


def wait(service: Any) -> pb.Exception | None:
    return follow(service, service, PENDING, None, lambda: False)


def test_what_others_say_is_shown_and_its_own_words_are_not(
    capsys: pytest.CaptureFixture[str],
) -> None:
    stream = [system(1, "Raised"), output(2), said(3, "hm"), output(4), system(5, "Resolved")]
    service = Service([PENDING, RESOLVED], stream)
    assert wait(service) == RESOLVED
    assert service.asked == [(f"{THREAD}/agents/kai", 'exception = "7"')]
    assert capsys.readouterr().err.splitlines() == ["kintsugi: ada: hm", "kintsugi: tool: output"]


def test_without_output_of_its_own_that_of_others_is_shown(
    capsys: pytest.CaptureFixture[str],
) -> None:
    stream = [system(1, "Raised"), said(2, "hm"), output(3), None]
    assert wait(Service([PENDING, RESOLVED], stream)) == RESOLVED
    assert capsys.readouterr().err.splitlines() == ["kintsugi: ada: hm", "kintsugi: tool: output"]


@pytest.mark.parametrize("news", [None, QUIET, system(9, "whatever it says")])
def test_it_looks_whenever_something_may_have_happened(news: Any) -> None:
    assert wait(Service([PENDING, RESOLVED], [QUIET, said(1, "Resolved"), news])) == RESOLVED


def test_a_service_that_is_away_is_waited_for() -> None:
    assert wait(Service([AWAY, AWAY, RESOLVED], [None, None, None])) == RESOLVED


def test_a_stream_that_is_never_granted_is_done_without() -> None:
    assert wait(Service([PENDING] * 9 + [RESOLVED], [None] * 10)) == RESOLVED


def test_an_expired_cursor_begins_anew_and_repeats_nothing(
    capsys: pytest.CaptureFixture[str],
) -> None:
    first = [system(1, "Raised"), output(2), said(3, "hm"), EXPIRED]
    second = [system(1, "Raised"), output(2), said(3, "hm"), said(4, "well"), None]
    assert wait(Service([PENDING, PENDING, RESOLVED], first, second)) == RESOLVED
    assert capsys.readouterr().err.splitlines() == ["kintsugi: ada: hm", "kintsugi: ada: well"]


def test_the_end_of_the_wait_is_told_from_an_answer() -> None:
    assert wait(Service([PENDING], [system(1, "Raised")])) is None


@pytest.mark.parametrize(("looks", "stream"), [([GONE], [QUIET]), ([], [GONE])])
def test_what_waiting_cannot_mend_is_raised(looks: list[Any], stream: list[Any]) -> None:
    with pytest.raises(ServiceError, match="gone"):
        wait(Service(looks, stream))
