"""What is done again and again: a failure is seen in the log."""

from structlog.testing import capture_logs

from server.domain.errors import DatabaseUnavailable
from server.operations.background import Repetition
from tests.integration.waiting import until


def test_a_database_that_is_away_is_warned_of_once_until_it_is_back() -> None:
    done: list[bool] = []

    def work() -> None:
        done.append(len(done) % 4 == 3)
        if not done[-1]:
            raise DatabaseUnavailable from TimeoutError()

    with capture_logs() as logs:
        repetition = Repetition("tested", work, 0.01)
        until(lambda: len(done) >= 7)
        repetition.close()
    own = [each for each in logs if each.get("name") == "tested"]  # others log here too
    warned = [(each["log_level"], each["cause"]) for each in own]
    failures = sum(not done[at] and (at == 0 or done[at - 1]) for at in range(len(done)))
    assert warned == [("warning", "TimeoutError")] * failures
