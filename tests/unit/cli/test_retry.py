"""What a waiting `kintsugi exec` does with a `retry_run` of its exception."""

from collections.abc import Iterator
from typing import Any

import grpc
import pytest
from kintsugi.v1.action_pb2 import Action
from kintsugi.v1.agent_session_pb2 import AgentSession

from cli.errors import ServiceError
from cli.run import retry
from cli.run.capture import Capture
from cli.run.process import Outcome
from cli.run.retry import Retries

ACTION = Action(name="agentSessions/s/actions/a", approver="users/ada")
AWAY = ServiceError(grpc.StatusCode.UNAVAILABLE, ["away"])
TAKEN = ServiceError(grpc.StatusCode.FAILED_PRECONDITION, ["taken"])
GONE = ServiceError(grpc.StatusCode.NOT_FOUND, ["gone"])


class Service:
    """Has one action, and answers claims and reports with what the test says, in this order."""

    def __init__(self, *answers: Any) -> None:
        self._answers: Iterator[Any] = iter(answers)
        self.claims: list[str] = []
        self.reports: list[tuple[int, str]] = []
        self.ended = ""

    def executing(self, _exception: str, _type: str) -> list[Action]:
        return [ACTION]

    def claim(self, _action: str, claim_id: str) -> Action:
        self.claims.append(claim_id)
        self._answer()
        return ACTION

    def report(self, _action: str, claim_id: str, code: int, error: str) -> None:
        assert claim_id == self.claims[-1]
        self.reports.append((code, error))
        self._answer()

    def get(self, session: str) -> AgentSession:
        return AgentSession(name=session, error=self.ended)

    def _answer(self) -> None:
        answer = next(self._answers, None)
        if answer is not None:
            raise answer


def look(service: Any, code: int = 0, signals: tuple[int, ...] = ()) -> bool:
    outcome = Outcome(code, "ended", Capture(), signals)
    return Retries(service, service, "e", lambda: outcome, lambda _: "no total").look()


@pytest.mark.parametrize(("code", "error"), [(0, ""), (3, "no total")])
def test_a_job_is_run_again_and_its_end_reported(code: int, error: str) -> None:
    service = Service()
    assert look(service, code)
    assert service.reports == [(code, error)]


@pytest.mark.parametrize("error", [AWAY, TAKEN])
def test_what_can_not_be_taken_is_not_run(error: ServiceError) -> None:
    service = Service(error)
    assert not look(service)
    assert not service.reports


def test_what_was_taken_though_no_answer_came_is_still_taken_the_next_time() -> None:
    service: Any = Service(AWAY)
    retries = Retries(service, service, "e", lambda: Outcome(0, "ended", Capture()), lambda _: "")
    assert not retries.look()
    assert retries.look()
    assert len(set(service.claims)) == 1


def test_no_action_is_run_twice_though_its_report_was_refused() -> None:
    service: Any = Service(None, TAKEN)
    retries = Retries(service, service, "e", lambda: Outcome(0, "ended", Capture()), lambda _: "")
    assert retries.look()
    assert not retries.look()


def test_that_the_session_was_ended_meanwhile_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    service = Service()
    assert look(service)
    assert "waiting on" not in capsys.readouterr().err
    service.ended = "users/ada cancelled it"
    assert look(service)
    told = (
        "the session has ended (users/ada cancelled it), so that this resolves nothing; waiting on"
    )
    assert told in capsys.readouterr().err


def test_what_can_not_be_gone_on_from_is_raised() -> None:
    with pytest.raises(ServiceError, match="gone"):
        look(Service(GONE))


def test_a_service_that_is_away_gets_the_report_when_it_is_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(retry.time, "sleep", lambda _: None)
    service = Service(None, AWAY, AWAY)
    assert look(service)
    assert service.reports == [(0, "")] * 3


def test_a_report_that_is_refused_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    service = Service(None, TAKEN)
    assert look(service)
    assert "couldn't be reported: taken" in capsys.readouterr().err


def test_an_interrupted_job_is_reported_and_not_waited_for_any_longer() -> None:
    service = Service()
    with pytest.raises(KeyboardInterrupt):
        look(service, 130, (2,))
    assert service.reports == [(130, "no total")]


def test_a_job_that_takes_longer_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retry, "KEEP", 0.001)
    service = Service()

    def again() -> Outcome:
        while len(service.claims) < 4:
            pass
        return Outcome(0, "ended", Capture())

    actions: Any = service
    assert Retries(actions, actions, "e", again, lambda _: "").look()
    assert len(set(service.claims)) == 1
